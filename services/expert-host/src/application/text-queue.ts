import { METRICS } from '@thalamus/contracts';
import { DynamicBatcher, type BatchOutcome, type SubmitOptions, type TokenRow } from '@thalamus/inference';
import { histogram } from '@thalamus/telemetry';
import type { InferenceMeter } from './inference-meter.js';

/** How batches are made. */
export interface BatchSettings {
  readonly maxBatch: number;
  /** Most tokens of a batch, padding included. */
  readonly maxBatchTokens: number;
  readonly batchDelayMs: number;
  readonly maxQueue: number;
  readonly threads: number;
}

/** Whose run a text is counted as. */
export interface Metered {
  readonly meter: InferenceMeter;
}

/** A tokenised text, and what else its caller wants done with it. */
export interface QueuedText<T> {
  readonly tokens: TokenRow;
  readonly wish: T;
  /** Time on the clock of `performance`. */
  readonly enteredAt: number;
}

/** What a queue stands before. */
export interface TextQueueOptions<T, R> extends BatchSettings {
  readonly tokenise: (texts: readonly string[]) => Promise<readonly TokenRow[]>;
  readonly run: (items: readonly QueuedText<T>[]) => Promise<readonly BatchOutcome<R>[]>;
}

/** Texts of many requests on their way into one graph: tokenised as they come, run in batches of similar length. */
export class TextQueue<T extends Metered, R> {
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
      run: (items) => this.run(items),
      onBatch: (size, waitsMs) => {
        sizes.record(size);
        for (const wait of waitsMs) waits.record(wait / 1000);
      },
    });
  }

  /** Answers in the order of the texts. `wishOf` may refuse a text. @throws EXPERT_OVERLOADED, CANCELLED, DEADLINE_EXCEEDED, EXPERT_CRASHED */
  async submit(
    texts: readonly string[],
    wishOf: (index: number, tokens: TokenRow) => T,
    options: SubmitOptions,
  ): Promise<R[]> {
    this.batcher.admit(texts.length);
    const rows = await this.options.tokenise(texts);
    // Again, since others came in the meantime: a request is taken whole or not at all.
    this.batcher.admit(texts.length);
    // Every wish is formed, or refused, before the first text is taken.
    const wishes = rows.map((tokens, index) => wishOf(index, tokens));
    const enteredAt = performance.now();
    return Promise.all(
      wishes.map((wish, index) =>
        this.batcher.submit({ tokens: rows[index] as TokenRow, wish, enteredAt }, options),
      ),
    );
  }

  private async run(items: readonly QueuedText<T>[]): Promise<readonly BatchOutcome<R>[]> {
    const startedAt = performance.now();
    const outcomes = await this.options.run(items);
    const tookMs = performance.now() - startedAt;
    for (const [meter, own] of Map.groupBy(items, ({ wish }) => wish.meter))
      meter.ran(
        own.map(({ enteredAt }) => startedAt - enteredAt),
        tookMs,
      );
    return outcomes;
  }
}
