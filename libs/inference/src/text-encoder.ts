import { asFloat32 } from '@thalamus/tensor';
import type { InferenceSession } from './inference-runtime.port.js';
import { padTokens, type TokenRow, type Tokenizer } from './tokenizer.js';

/** Vectors of texts. */
export interface EncodedTexts {
  /** float32 [texts, width], L2-normalised, row-major. */
  readonly embeddings: Float32Array;
  readonly width: number;
  readonly tokenCounts: readonly number[];
  readonly truncated: readonly boolean[];
  /** Milliseconds spent tokenising and encoding. */
  readonly tokeniseMs: number;
  readonly encodeMs: number;
}

/** The same with the word pieces that they were made from. */
export interface EncodedPrompts extends EncodedTexts {
  readonly rows: readonly TokenRow[];
}

/** A tokenizer and a feature-extraction session together. */
export class TextEncoder {
  constructor(
    private readonly tokenizer: Tokenizer,
    private readonly session: InferenceSession,
    /** Longest text in tokens; longer ones are cut. */
    readonly maxTokens: number,
  ) {}

  /** Encodes texts in one padded batch. Callers who have many texts sort them by length first. */
  async encode(texts: readonly string[]): Promise<EncodedPrompts> {
    const startedAt = performance.now();
    const rows = await this.tokenise(texts);
    const tokeniseMs = performance.now() - startedAt;
    return { ...(await this.encodeTokens(rows)), rows, tokeniseMs };
  }

  /** Token ids of texts, cut to the longest that is taken. */
  tokenise(texts: readonly string[]): Promise<TokenRow[]> {
    return this.tokenizer.encode(texts, this.maxTokens);
  }

  /** Encodes token ids in one padded batch. */
  async encodeTokens(rows: readonly TokenRow[]): Promise<EncodedTexts> {
    const startedAt = performance.now();
    const { inputIds, attentionMask, tokenCounts, truncated } = padTokens(rows);
    const feeds = { input_ids: inputIds, attention_mask: attentionMask };
    const outputs = await this.session.run(feeds, { outputs: ['embedding'] });
    const embedding = asFloat32(outputs['embedding'], 'embedding');
    return {
      embeddings: embedding.data,
      width: embedding.shape[1] ?? 0,
      tokenCounts,
      truncated,
      tokeniseMs: 0,
      encodeMs: performance.now() - startedAt,
    };
  }
}
