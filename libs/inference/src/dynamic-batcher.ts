import { ThalamusError } from '@thalamus/errors';

/** How batches are formed. */
export interface BatcherOptions<T, R> {
  /** Largest batch. */
  readonly maxBatch: number;
  /** How long the first item of a batch waits for others, in milliseconds; 0 takes what is there. */
  readonly maxDelayMs: number;
  /** Items that may wait; more are refused with EXPERT_OVERLOADED. */
  readonly maxQueue: number;
  /** Runs a batch; answers in the order of the items. One batch runs at a time. */
  readonly run: (items: readonly T[]) => Promise<readonly R[]>;
  /** Told the size of each batch and how long its items waited, in milliseconds. */
  readonly onBatch?: (size: number, waitsMs: readonly number[]) => void;
}

/** What an item brings along. */
export interface SubmitOptions {
  /** Unix time in milliseconds after which the answer is worthless. */
  readonly deadlineAtMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

interface Waiting<T, R> {
  readonly item: T;
  readonly options: SubmitOptions;
  readonly enteredAt: number;
  readonly resolve: (result: R) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Groups concurrent calls into batches. Items whose caller has gone or whose deadline has passed are dropped before the
 * run; while one batch runs the next one gathers, so that a busy model needs no artificial delay.
 */
export class DynamicBatcher<T, R> {
  private queue: Waiting<T, R>[] = [];
  private running = false;
  private timer: NodeJS.Timeout | undefined;
  private lastRunMs = 5;

  constructor(private readonly options: BatcherOptions<T, R>) {}

  /** Items that wait now. */
  get depth(): number {
    return this.queue.length;
  }

  /** Adds an item and resolves with its result. */
  submit(item: T, options: SubmitOptions = {}): Promise<R> {
    const refusal = this.refusal(options);
    if (refusal) return Promise.reject(refusal);
    return new Promise((resolve, reject) => {
      this.queue.push({ item, options, enteredAt: performance.now(), resolve, reject });
      this.schedule();
    });
  }

  private refusal(options: SubmitOptions): ThalamusError | undefined {
    if (options.signal?.aborted) return cancelled();
    if (this.queue.length >= this.options.maxQueue) {
      const retryAfterMs = Math.ceil((this.queue.length / this.options.maxBatch) * this.lastRunMs);
      return new ThalamusError(
        'EXPERT_OVERLOADED',
        `${this.queue.length} requests wait already; try again in ${retryAfterMs} ms.`,
        { retryAfterMs },
      );
    }
    const batchesAhead = Math.floor(this.queue.length / this.options.maxBatch) + (this.running ? 1 : 0);
    const earliest = Date.now() + batchesAhead * this.lastRunMs;
    return options.deadlineAtMs !== undefined && options.deadlineAtMs < earliest ? late() : undefined;
  }

  private schedule(): void {
    if (this.running || this.queue.length === 0) return;
    if (this.queue.length >= this.options.maxBatch || this.options.maxDelayMs === 0) {
      clearTimeout(this.timer);
      this.timer = undefined;
      void this.runBatch();
    } else {
      this.timer ??= setTimeout(() => {
        this.timer = undefined;
        void this.runBatch();
      }, this.options.maxDelayMs);
    }
  }

  private async runBatch(): Promise<void> {
    if (this.running) return;
    this.running = true;
    try {
      const batch = this.take();
      if (batch.length > 0) await this.execute(batch);
    } finally {
      this.running = false;
      // What gathered during the run has waited long enough.
      if (this.queue.length > 0) setImmediate(() => void this.runBatch());
    }
  }

  private take(): Waiting<T, R>[] {
    const batch: Waiting<T, R>[] = [];
    while (batch.length < this.options.maxBatch) {
      const next = this.queue.shift();
      if (!next) break;
      if (next.options.signal?.aborted) next.reject(cancelled());
      else if (next.options.deadlineAtMs !== undefined && next.options.deadlineAtMs <= Date.now())
        next.reject(late());
      else batch.push(next);
    }
    return batch;
  }

  private async execute(batch: readonly Waiting<T, R>[]): Promise<void> {
    const startedAt = performance.now();
    try {
      const results = await this.options.run(batch.map(({ item }) => item));
      batch.forEach((waiting, index) => {
        waiting.resolve(results[index] as R);
      });
    } catch (error) {
      for (const waiting of batch) waiting.reject(error);
    }
    this.lastRunMs = 0.8 * this.lastRunMs + 0.2 * (performance.now() - startedAt);
    this.options.onBatch?.(
      batch.length,
      batch.map(({ enteredAt }) => startedAt - enteredAt),
    );
  }
}

function cancelled(): ThalamusError {
  return new ThalamusError('CANCELLED', 'The request was cancelled by its caller before it ran.');
}

function late(): ThalamusError {
  return new ThalamusError(
    'DEADLINE_EXCEEDED',
    'The request could not run before its deadline; allow more time or send less at once.',
  );
}
