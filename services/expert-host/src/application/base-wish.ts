import type { Pooling } from '@thalamus/bundle';
import type { EncodedText, TextToEncode } from './base-session.js';
import type { Filling } from './fillings.js';
import { pooled, pooledPositions } from './pooling.js';
import type { TextFacts } from './served-expert.js';
import type { Metered, QueuedText } from './text-queue.js';

/** What comes back for one text. */
export interface BaseAnswer extends TextFacts {
  /** float32: the embedding, the pooled states, or the logits of a head. */
  readonly vector: Float32Array;
  /** For each masked place, when that was wanted. */
  readonly fillings: readonly Filling[];
}

/** What is wanted of a text. */
export type BaseWant =
  /** The embedding as the graph gives it: the mean, normalised. */
  | { readonly kind: 'embedding' }
  /** Last hidden states, pooled and not normalised. */
  | { readonly kind: 'pooled'; readonly pooling: Pooling }
  /** Logits of the expert's head. */
  | { readonly kind: 'logits' }
  /** The best tokens for masked places. */
  | { readonly kind: 'fillings'; readonly positions: readonly number[]; readonly topK: number };

/** The expert that a text is for, and what is wanted of it. */
export interface BaseWish extends Metered {
  /** Id of its head, and of its adapter; empty for the base alone. */
  readonly id: string;
  /** Whether it has an adapter besides its head. */
  readonly isLowRank: boolean;
  readonly want: BaseWant;
}

/** What the base is asked for a text: none for one that is not there. */
export function toEncode(item: QueuedText<BaseWish> | undefined): TextToEncode[] {
  if (!item) return [];
  const { tokens, wish } = item;
  if (wish.want.kind === 'fillings') return [{ tokens, positions: wish.want.positions }];
  if (wish.want.kind !== 'pooled') return [{ tokens, positions: [] }];
  return [{ tokens, positions: pooledPositions(wish.want.pooling, tokens.ids.length) }];
}

/** The vector that is wanted of a text, where no head makes it. */
export function vectorOf({ embedding, states }: EncodedText, want: BaseWant): Float32Array {
  return want.kind === 'pooled' ? pooled(states) : embedding;
}
