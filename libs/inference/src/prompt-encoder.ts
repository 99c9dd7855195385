import { featureWidth, routerFeatures, type FeatureSpec } from '@thalamus/routing';
import type { EncodedPrompts, EncodedTexts, TextEncoder } from './text-encoder.js';
import type { TokenRow, Tokenizer } from './tokenizer.js';

/** What turns prompts into the vectors that a router model reads. */
export interface PromptVectors {
  encode(texts: readonly string[]): Promise<EncodedPrompts>;
}

/** Only a tokenizer: for vectors that need no graph. */
export interface TokenizerAlone {
  readonly tokenizer: Tokenizer;
  /** Longest text in tokens; longer ones are cut. */
  readonly maxTokens: number;
}

/**
 * Vectors that are put together from parts: static ones of word pieces, counts of the prompt and, where the model reads it,
 * the vector of a graph. Without that part no graph is needed and a prompt costs its tokenising.
 */
export class PromptEncoder implements PromptVectors {
  private readonly width: number;
  private readonly graph: TextEncoder | undefined;

  /** `source` is an encoder with its graph where the model has the part `sentence`. */
  constructor(
    private readonly source: TextEncoder | TokenizerAlone,
    private readonly spec: FeatureSpec,
  ) {
    this.width = featureWidth(spec);
    const needsGraph = spec.blocks.some(({ kind }) => kind === 'sentence');
    this.graph = needsGraph && 'encodeTokens' in source ? source : undefined;
  }

  /** Encodes prompts together. @throws TENSOR_INVALID when a part of the model is missing */
  async encode(texts: readonly string[]): Promise<EncodedPrompts> {
    const startedAt = performance.now();
    const rows = await this.tokenise(texts);
    const tokeniseMs = performance.now() - startedAt;
    return { ...(await this.encodeTokens(texts, rows)), rows, tokeniseMs };
  }

  /** Encodes prompts whose word pieces are there already. @throws as `encode` does */
  async encodeTokens(texts: readonly string[], rows: readonly TokenRow[]): Promise<EncodedTexts> {
    const startedAt = performance.now();
    const run = await this.graph?.encodeTokens(rows);
    const inputs = texts.map((text, row) => ({
      text,
      ids: rows[row]?.ids ?? [],
      sentence: run?.embeddings.subarray(row * run.width, (row + 1) * run.width),
    }));
    return {
      embeddings: routerFeatures(inputs, this.spec),
      width: this.width,
      tokenCounts: rows.map(({ ids }) => ids.length),
      truncated: rows.map(({ truncated }) => truncated),
      tokeniseMs: 0,
      encodeMs: performance.now() - startedAt,
    };
  }

  private tokenise(texts: readonly string[]): Promise<TokenRow[]> {
    return 'tokenise' in this.source
      ? this.source.tokenise(texts)
      : this.source.tokenizer.encode(texts, this.source.maxTokens);
  }
}
