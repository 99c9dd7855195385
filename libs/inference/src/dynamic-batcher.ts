import { ThalamusError, toThalamusError } from '@thalamus/errors';
import { isWorthAnotherRun } from './inference-child.js';
import { abortError } from './session-checks.js';

/** What became of one item of a batch: its result, or why it alone failed. */
export type BatchOutcome<R> = R | ThalamusError;

/** How batches are formed. */
export interface BatcherOptions<T, R> {
  /** Most items of a batch. */
  readonly maxBatch: number;
  /** How long the first item of a batch waits for others, in milliseconds; 0 takes what is there. */
  readonly maxDelayMs: number;
  /** Items that may wait; more are refused with EXPERT_OVERLOADED. */
  readonly maxQueue: number;
  /**
   * Size of an item, such as its tokens: items of a batch are padded to the largest, so that a batch costs its number of
   * items times that, and only items of similar size go together. Default: all have the size 1.
   */
  readonly sizeOf?: (item: T) => number;
  /** Largest cost of a batch; one item alone may cost more. Default: no limit. */
  readonly maxCost?: number;
  /**
   * Runs a batch; answers in the order of the items. One batch runs at a time. When it throws INFERENCE_FAILED or
   * TENSOR_INVALID, its items are run one by one, so that only those at fault fail; so too, once, when its process ended.
   */
  readonly run: (items: readonly T[]) => Promise<readonly BatchOutcome<R>[]>;
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
  readonly size: number;
  readonly options: SubmitOptions;
  readonly enteredAt: number;
  readonly resolve: (result: R) => void;
  readonly reject: (error: ThalamusError) => void;
}

/** Sizes that differ by no more than this, and a quarter of the larger one, go together: a run of its own costs as much. */
const NEAR_SIZE = 16;
const NEAR_SHARE = 0.25;

/**
 * Groups concurrent calls into batches. The oldest item is always in the next batch, with those nearest to it in size.
 * Items whose caller has gone leave at once, those whose deadline has passed before the run; while one batch runs the
 * next one gathers, so that a busy model needs no artificial delay.
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

  /** @throws EXPERT_OVERLOADED when so many more items would not fit the queue */
  admit(count: number): void {
    const waiting = this.queue.length;
    if (waiting + count <= this.options.maxQueue) return;
    const retryAfterMs = Math.max(1, Math.ceil(this.batchesWaiting() * this.lastRunMs));
    throw new ThalamusError(
      'EXPERT_OVERLOADED',
      `${waiting} of at most ${this.options.maxQueue} requests wait already; try again in ${retryAfterMs} ms.`,
      { retryAfterMs },
    );
  }

  /**
   * Adds an item and resolves with its result.
   * @throws EXPERT_OVERLOADED, CANCELLED, DEADLINE_EXCEEDED, and what the run throws
   */
  async submit(item: T, options: SubmitOptions = {}): Promise<R> {
    const { signal } = options;
    if (signal?.aborted) throw abortError(signal);
    this.admit(1);
    this.refuseLate(options);
    return new Promise<R>((resolve, reject) => {
      const size = this.options.sizeOf?.(item) ?? 1;
      const onAbort = () => {
        this.queue = this.queue.filter((other) => other !== waiting);
        if (signal) waiting.reject(abortError(signal));
      };
      const settled = () => signal?.removeEventListener('abort', onAbort);
      const waiting: Waiting<T, R> = {
        item,
        size,
        options,
        enteredAt: performance.now(),
        resolve: (result) => {
          settled();
          resolve(result);
        },
        reject: (error) => {
          settled();
          reject(error);
        },
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.queue.push(waiting);
      this.schedule();
    });
  }

  private refuseLate({ deadlineAtMs }: SubmitOptions): void {
    if (deadlineAtMs === undefined) return;
    const batchesAhead = Math.floor(this.batchesWaiting()) + (this.running ? 1 : 0);
    if (deadlineAtMs <= Date.now() + batchesAhead * this.lastRunMs) throw late();
  }

  /** How many full batches the waiting items make, by number or by cost. */
  private batchesWaiting(): number {
    const { maxBatch, maxCost = Infinity } = this.options;
    const cost = this.queue.reduce((sum, { size }) => sum + size, 0);
    return Math.max(this.queue.length / maxBatch, cost / maxCost);
  }

  private schedule(): void {
    if (this.running || this.queue.length === 0) return;
    if (this.batchesWaiting() >= 1 || this.options.maxDelayMs === 0) {
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

  /** The oldest item that is not too late, and the nearest to it in size that still fit. */
  private take(): Waiting<T, R>[] {
    const now = Date.now();
    const isLate = ({ options }: Waiting<T, R>) =>
      options.deadlineAtMs !== undefined && options.deadlineAtMs <= now;
    for (const waiting of this.queue.filter(isLate)) waiting.reject(late());
    const [oldest, ...others] = this.queue.filter((waiting) => !isLate(waiting));
    if (!oldest) {
      this.queue = [];
      return [];
    }
    const { maxBatch, maxCost = Infinity } = this.options;
    const distance = ({ size }: Waiting<T, R>) => Math.abs(size - oldest.size);
    const isNear = (other: Waiting<T, R>) =>
      distance(other) <= NEAR_SIZE + NEAR_SHARE * Math.max(other.size, oldest.size);
    const batch = [oldest];
    let largest = oldest.size;
    for (const other of others.filter(isNear).sort((a, b) => distance(a) - distance(b))) {
      const grown = Math.max(largest, other.size);
      if (batch.length >= maxBatch || (batch.length + 1) * grown > maxCost) break;
      batch.push(other);
      largest = grown;
    }
    const taken = new Set(batch);
    this.queue = others.filter((waiting) => !taken.has(waiting));
    return batch;
  }

  private async execute(batch: readonly Waiting<T, R>[]): Promise<void> {
    const startedAt = performance.now();
    await this.answer(batch);
    this.lastRunMs = 0.8 * this.lastRunMs + 0.2 * (performance.now() - startedAt);
    this.options.onBatch?.(
      batch.length,
      batch.map(({ enteredAt }) => startedAt - enteredAt),
    );
  }

  /** Runs one item of a batch that failed, if it is still wanted. */
  private async answerAlone(waiting: Waiting<T, R>): Promise<void> {
    const { deadlineAtMs = Infinity, signal } = waiting.options;
    if (signal?.aborted) waiting.reject(abortError(signal));
    else if (deadlineAtMs <= Date.now()) waiting.reject(late());
    else await this.answer([waiting], true);
  }

  private async answer(batch: readonly Waiting<T, R>[], isSecondTry = false): Promise<void> {
    try {
      const outcomes = await this.options.run(batch.map(({ item }) => item));
      batch.forEach((waiting, index) => {
        const outcome = outcomes[index];
        if (outcome === undefined)
          waiting.reject(new ThalamusError('INTERNAL', `A batch of ${batch.length} has no answer ${index}.`));
        else if (ThalamusError.is(outcome)) waiting.reject(outcome);
        else waiting.resolve(outcome);
      });
    } catch (error) {
      const isAlone = batch.length === 1;
      const isTriedAgain = !isSecondTry && (isWorthAnotherRun(error) || (!isAlone && isOfOneItem(error)));
      if (isTriedAgain) for (const waiting of batch) await this.answerAlone(waiting);
      else for (const waiting of batch) waiting.reject(toThalamusError(error));
    }
  }
}

/** A fault that one item may have brought on all. */
function isOfOneItem(error: unknown): boolean {
  return ThalamusError.is(error) && (error.code === 'INFERENCE_FAILED' || error.code === 'TENSOR_INVALID');
}

function late(): ThalamusError {
  return new ThalamusError(
    'DEADLINE_EXCEEDED',
    'The request could not run before its deadline; allow more time or send less at once.',
  );
}
