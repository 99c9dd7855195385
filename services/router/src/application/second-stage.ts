import { DynamicBatcher, type PromptEncoder, type SubmitOptions, type TokenRow } from '@thalamus/inference';
import { predictLosses, type LossHeads, type StageGate } from '@thalamus/routing';

/** Most tokens of a batch of a graph, padding included; larger ones take no less time for each token. */
export const MAX_BATCH_TOKENS = 512;

/** What a second stage is made of. */
export interface SecondStageParts {
  readonly vectors: PromptEncoder;
  readonly heads: LossHeads;
  readonly gate: StageGate;
}

/** A prompt that the first stage leaves open. */
export interface OpenPrompt {
  readonly text: string;
  readonly tokens: TokenRow;
}

/** What the second stage says of a prompt. */
export interface SecondAnswer {
  /** As the heads give them, [candidates]. */
  readonly losses: Float32Array;
  /** Of the batch that the prompt ran in, milliseconds. */
  readonly encodeMs: number;
  readonly predictMs: number;
}

/** How batches are formed. */
interface BatchOptions {
  readonly maxBatch: number;
  readonly batchDelayMs: number;
  readonly maxQueue: number;
}

/**
 * Predicts with the graph of the encoder, in batches of its own: prompts that the first stage decides never wait for a graph. A prompt
 * keeps its tenant, deadline and signal, and its word pieces.
 */
export class SecondStage {
  readonly gate: StageGate;
  private readonly batcher: DynamicBatcher<OpenPrompt, SecondAnswer>;

  constructor(
    private readonly parts: SecondStageParts,
    { maxBatch, batchDelayMs, maxQueue }: BatchOptions,
  ) {
    this.gate = parts.gate;
    this.batcher = new DynamicBatcher({
      maxBatch,
      maxDelayMs: batchDelayMs,
      maxQueue,
      sizeOf: ({ tokens }) => tokens.ids.length,
      maxCost: MAX_BATCH_TOKENS,
      run: (prompts) => this.run(prompts),
    });
  }

  /** Losses of a prompt. @throws EXPERT_OVERLOADED, DEADLINE_EXCEEDED, INFERENCE_FAILED */
  predict(prompt: OpenPrompt, options: SubmitOptions): Promise<SecondAnswer> {
    return this.batcher.submit(prompt, options);
  }

  /** Losses of prompts in one batch. @throws TENSOR_INVALID for an encoder of another width */
  async run(prompts: readonly OpenPrompt[]): Promise<SecondAnswer[]> {
    const { vectors, heads } = this.parts;
    const { embeddings, encodeMs } = await vectors.encodeTokens(
      prompts.map(({ text }) => text),
      prompts.map(({ tokens }) => tokens),
    );
    const startedAt = performance.now();
    const losses = predictLosses(heads, embeddings);
    const predictMs = performance.now() - startedAt;
    const candidates = losses.length / prompts.length;
    return prompts.map((_, row) => ({
      losses: losses.subarray(row * candidates, (row + 1) * candidates),
      encodeMs,
      predictMs,
    }));
  }
}
