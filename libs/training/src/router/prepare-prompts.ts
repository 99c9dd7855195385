import type { FeatureKind } from '@thalamus/routing';
import { WORDS } from '@thalamus/onnx-graph';
import { asFloat32 } from '@thalamus/tensor';
import { embedTexts, type EmbeddedTexts } from '../embed-texts.js';
import type { TrainingBase } from '../training-base.port.js';
import type { PreparedPrompts, WordTable } from './fitted-features.js';

/** The encoders of routers by name, and what each reads of a prompt. */
export const ROUTER_ENCODERS = {
  /** No graph is run: static vectors of word pieces and of runs of them, and counts. */
  fast: ['tokens', 'grams', 'prompt'],
  /** The vector of the base's graph as well. */
  accurate: ['sentence', 'tokens', 'grams', 'prompt'],
  /** `fast` for every prompt, and `accurate` for those where it matters. */
  cascade: ['sentence', 'tokens', 'grams', 'prompt'],
} as const satisfies Readonly<Record<string, readonly FeatureKind[]>>;
/** One of the names. */
export type RouterEncoder = keyof typeof ROUTER_ENCODERS;

/** How prompts are prepared. */
export interface PrepareOptions {
  /** Vectors of texts by the graph of the base; `embedTexts` when absent. */
  readonly embed?: (texts: readonly string[], onBatch: (done: number) => void) => Promise<EmbeddedTexts>;
  /** Told how many texts are done. */
  readonly onProgress?: (done: number, total: number) => void;
}

const TOKENISED_AT_ONCE = 256;

/** Tokenises prompts, and runs the base's graph on them where a part needs it. */
export async function preparePrompts(
  base: TrainingBase,
  texts: readonly string[],
  kinds: readonly FeatureKind[],
  options: PrepareOptions = {},
): Promise<PreparedPrompts> {
  const ids: (readonly number[])[] = [];
  for (let from = 0; from < texts.length; from += TOKENISED_AT_ONCE) {
    const rows = await base.tokens.encode(
      texts.slice(from, from + TOKENISED_AT_ONCE),
      base.manifest.maxTokens,
    );
    for (const row of rows) ids.push(row.ids);
  }
  if (!kinds.includes('sentence')) return { texts, ids, sentenceWidth: 0 };
  const onBatch = (done: number) => options.onProgress?.(done, texts.length);
  const embedded = options.embed
    ? await options.embed(texts, onBatch)
    : await embedTexts(base.encoder, texts, { onBatch });
  return { texts, ids, sentences: embedded.features, sentenceWidth: embedded.width };
}

/** Word vectors of a base. @throws TENSOR_INVALID when it has none */
export function wordsOf(base: TrainingBase): WordTable {
  const { data, shape } = asFloat32(base.read.weights.get(WORDS), WORDS);
  return { table: data, rows: shape[0] ?? 0, width: shape[1] ?? 0 };
}
