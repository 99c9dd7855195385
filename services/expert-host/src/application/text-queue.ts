import { METRICS } from '@thalamus/contracts';
import { DynamicBatcher, type BatchOutcome, type SubmitOptions, type TokenRow } from '@thalamus/inference';
import { histogram } from '@thalamus/telemetry';

/** How batches are made. */
export interface BatchSettings {
  readonly maxBatch: number;
  /** Most tokens of a batch, padding included. */
  readonly maxBatchTokens: number;
  readonly batchDelayMs: number;
  readonly maxQueue: number;
  readonly threads: number;
}

/** A tokenised text, and what else its caller wants done with it. */
export interface QueuedText<T> {
  readonly tokens: TokenRow;
  readonly wish: T;
}

/** What a queue stands before. */
export interface TextQueueOptions<T, R> extends BatchSettings {
  readonly tokenise: (texts: readonly string[]) => Promise<readonly TokenRow[]>;
  readonly run: (items: readonly QueuedText<T>[]) => Promise<readonly BatchOutcome<R>[]>;
}

/** Texts of many requests on their way into one graph: tokenised as they come, run in batches of similar length. */
export class TextQueue<T, R> {
  private readonly batcher: DynamicBatcher<QueuedText<T>, R>;

  constructor(private readonly options: TextQueueOptions<T, R>) {
    const sizes = histogram(METRICS.batchSize);
    const waits = histogram(METRICS.queueDuration);
    this.batcher = new DynamicBatcher({
      maxBatch: options.maxBatch,
      maxCost: options.maxBatchTokens,
      sizeOf: ({ tokens }) => tokens.ids.length,
      maxDelayMs: options.batchDelayMs,
      maxQueue: options.maxQueue,
      run: options.run,
      onBatch: (size, waitsMs) => {
        sizes.record(size);
        for (const wait of waitsMs) waits.record(wait / 1000);
      },
    });
  }

  /** Answers in the order of the texts. @throws EXPERT_OVERLOADED, CANCELLED, DEADLINE_EXCEEDED, EXPERT_CRASHED */
  async submit(texts: readonly string[], wishOf: (index: number) => T, options: SubmitOptions): Promise<R[]> {
    this.batcher.admit(texts.length);
    const rows = await this.options.tokenise(texts);
    // Again, since others came in the meantime: a request is taken whole or not at all.
    this.batcher.admit(texts.length);
    return Promise.all(
      rows.map((tokens, index) => this.batcher.submit({ tokens, wish: wishOf(index) }, options)),
    );
  }
}
