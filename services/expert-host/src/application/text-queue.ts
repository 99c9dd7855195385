import { METRICS } from '@thalamus/contracts';
import {
  DynamicBatcher,
  type BatchOutcome,
  type RunLanes,
  type SubmitOptions,
  type TokenRow,
} from '@thalamus/inference';
import { histogram } from '@thalamus/telemetry';
import type { InferenceMeter } from './inference-meter.js';

/** How batches are made. */
export interface BatchSettings {
  readonly maxBatch: number;
  /** Most tokens of a batch, padding included. */
  readonly maxBatchTokens: number;
  readonly batchDelayMs: number;
  /** Texts, or requests of a graph of tensors, that one tenant may have waiting for one graph. */
  readonly maxQueue: number;
  /** Told by how many those that wait have become more or, below 0, fewer. */
  readonly onDepth?: ((change: number) => void) | undefined;
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
  readonly lanes: RunLanes;
  readonly tokenise: (texts: readonly string[]) => Promise<readonly TokenRow[]>;
  readonly run: (items: readonly QueuedText<T>[]) => Promise<readonly BatchOutcome<R>[]>;
}

/** Texts of many requests on their way into one graph: tokenised as they come, run in batches of similar length, fairly between tenants. */
export class TextQueue<T extends Metered, R> {
  private readonly batcher: DynamicBatcher<QueuedText<T>, R>;

  constructor(private readonly options: TextQueueOptions<T, R>) {
    const sizes = histogram(METRICS.batchSize);
    const waits = histogram(METRICS.queueDuration);
    this.batcher = new DynamicBatcher({
      maxBatch: options.maxBatch,
      maxCost: options.maxBatchTokens,
      sizeOf: ({ tokens }) => tokens.ids.length,
      lanes: options.lanes,
      maxDelayMs: options.batchDelayMs,
      maxQueue: options.maxQueue,
      run: (items) => this.run(items),
      onBatch: (size, waitsMs) => {
        sizes.record(size);
        for (const wait of waitsMs) waits.record(wait / 1000);
      },
      onDepth: options.onDepth,
    });
  }

  /** Answers in the order of the texts. `wishOf` may refuse a text. @throws EXPERT_OVERLOADED, CANCELLED, DEADLINE_EXCEEDED, EXPERT_CRASHED */
  async submit(
    texts: readonly string[],
    wishOf: (index: number, tokens: TokenRow) => T,
    options: SubmitOptions,
  ): Promise<R[]> {
    this.batcher.admit(texts.length, options.tenant);
    const rows = await this.options.tokenise(texts);
    // Every wish is formed, or refused, before the first text is taken.
    const wishes = rows.map((tokens, index) => wishOf(index, tokens));
    const enteredAt = performance.now();
    const items = rows.map((tokens, index) => ({ tokens, wish: wishes[index] as T, enteredAt }));
    return this.batcher.submitAll(items, options);
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
