import { asFloat32 } from '@thalamus/tensor';
import type { InferenceSession } from './inference-runtime.port.js';
import type { Tokenizer } from './tokenizer.js';

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

/** A tokenizer and a feature-extraction session together. */
export class TextEncoder {
  constructor(
    private readonly tokenizer: Tokenizer,
    private readonly session: InferenceSession,
    /** Longest text in tokens; longer ones are cut. */
    readonly maxTokens: number,
  ) {}

  /** Encodes texts in one padded batch. Callers who have many texts sort them by length first. */
  async encode(texts: readonly string[]): Promise<EncodedTexts> {
    const startedAt = performance.now();
    const batch = await this.tokenizer.encodeBatch(texts, this.maxTokens);
    const tokenisedAt = performance.now();
    const feeds = { input_ids: batch.inputIds, attention_mask: batch.attentionMask };
    const outputs = await this.session.run(feeds, { outputs: ['embedding'] });
    const embedding = asFloat32(outputs['embedding'], 'embedding');
    return {
      embeddings: embedding.data,
      width: embedding.shape[1] ?? 0,
      tokenCounts: batch.tokenCounts,
      truncated: batch.truncated,
      tokeniseMs: tokenisedAt - startedAt,
      encodeMs: performance.now() - tokenisedAt,
    };
  }
}
