import { ThalamusError, toThalamusError } from '@thalamus/errors';
import { FairQueue, type FairItem, type FairLoad } from './fair-queue.js';
import type { RunLanes } from './inference-runtime.port.js';
import { isWorthAnotherRun } from './inference-child.js';
import { RunPace } from './run-pace.js';
import { abortError } from './session-checks.js';

/** What became of one item of a batch: its result, or why it alone failed. */
export type BatchOutcome<R> = R | ThalamusError;

/** How batches are formed. */
export interface BatcherOptions<T, R> {
  /** Most items of a batch. */
  readonly maxBatch: number;
  /**
   * How long the first item of a batch waits for others, in milliseconds; 0 takes what is there. A request that nobody else came beside
   * the last time does not wait: a lone caller gains nothing by it.
   */
  readonly maxDelayMs: number;
  /**
   * Items of one tenant that may wait; more are refused with EXPERT_OVERLOADED. While several tenants wait each may have an equal share
   * of that, and one with nothing waiting one whole request, so that nobody fills the queue for others; all together may be twice as many.
   */
  readonly maxQueue: number;
  /**
   * Size of an item, such as its tokens: items of a batch are padded to the largest, so that a batch costs its number of
   * items times that, and only items of similar size go together. Default: all have the size 1.
   */
  readonly sizeOf?: (item: T) => number;
  /** Largest cost of a batch; one item alone may cost more. Default: no limit. */
  readonly maxCost?: number;
  /**
   * Runs a batch; answers in the order of the items. When it throws INFERENCE_FAILED or TENSOR_INVALID, its items are run
   * one by one with nothing beside them, so that only those at fault fail; so too, once, when its process ended.
   */
  readonly run: (items: readonly T[]) => Promise<readonly BatchOutcome<R>[]>;
  /** How many batches run at a time, and who is told that more wait than that. Default: one. */
  readonly lanes?: RunLanes;
  /** Told the size of each batch and how long its items waited, in milliseconds. */
  readonly onBatch?: (size: number, waitsMs: readonly number[]) => void;
  /** Told by how many the items that wait have become more or, below 0, fewer. */
  readonly onDepth?: ((change: number) => void) | undefined;
}

/** What an item brings along. */
export interface SubmitOptions {
  /** Whom its cost is charged to. Default: all that name nobody are one tenant. */
  readonly tenant?: string | undefined;
  /** Unix time in milliseconds after which the answer is worthless. */
  readonly deadlineAtMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

interface Waiting<T, R> extends FairItem {
  readonly item: T;
  readonly options: SubmitOptions;
  readonly enteredAt: number;
  /** Number of the request that brought it. */
  readonly request: number;
  readonly resolve: (result: R) => void;
  readonly reject: (error: ThalamusError) => void;
}

/** All tenants together may have so many times what one may have waiting. */
const ALL_TENANTS = 2;

/**
 * Groups concurrent calls into batches, fairly between tenants: see FairQueue for which items are next. Of one tenant the oldest item is
 * always in its next batch, with those nearest to it in size. Items whose caller has gone leave at once, those whose deadline has passed before
 * the run; while one batch runs the next one gathers, so that a busy model needs no artificial delay.
 */
export class DynamicBatcher<T, R> {
  private readonly queue = new FairQueue<Waiting<T, R>>();
  /** Items of a run that failed, which run once more, each with nothing beside it. */
  private readonly again: Waiting<T, R>[] = [];
  private running = 0;
  private toldDepth = 0;
  private requests = 0;
  /** Whether requests come close together: the last run had, or left, items of another one. */
  private isCrowded = true;
  private timer: NodeJS.Timeout | undefined;
  private readonly pace: RunPace;

  constructor(private readonly options: BatcherOptions<T, R>) {
    this.pace = new RunPace(() => this.lanes);
  }

  /** Items that wait now. */
  get depth(): number {
    return this.queue.length;
  }

  /** @throws EXPERT_OVERLOADED when so many more items of the tenant would not fit the queue; without a time to come back when they never would */
  admit(count: number, tenant = ''): void {
    const { maxQueue } = this.options;
    if (count > maxQueue)
      throw new ThalamusError(
        'EXPERT_OVERLOADED',
        `The request holds ${count} items, and at most ${maxQueue} may wait for one graph; send fewer at once.`,
      );
    const own = this.queue.of(tenant).count;
    const tenants = this.queue.tenantsWith(tenant);
    const share = Math.max(1, Math.floor(maxQueue / tenants));
    const all = this.queue.length;
    const fits = own + count <= share || (own === 0 && count <= maxQueue);
    if (fits && all + count <= ALL_TENANTS * maxQueue) return;
    const load = fits ? this.queue.load : this.queue.ahead(tenant);
    const retryAfterMs = Math.max(1, Math.ceil(this.pace.msFor(this.batchesOf(load))));
    const others = tenants > 1 ? `, of ${all} of ${tenants} tenants` : '';
    throw new ThalamusError(
      'EXPERT_OVERLOADED',
      fits
        ? `${all} of at most ${ALL_TENANTS * maxQueue} requests of all tenants wait already; try again in ${retryAfterMs} ms.`
        : `${own} of at most ${share} requests wait already${others}; try again in ${retryAfterMs} ms.`,
      { retryAfterMs },
    );
  }

  /**
   * Adds an item and resolves with its result.
   * @throws EXPERT_OVERLOADED, CANCELLED, DEADLINE_EXCEEDED, and what the run throws
   */
  async submit(item: T, options: SubmitOptions = {}): Promise<R> {
    const [result] = await this.submitAll([item], options);
    return result as R;
  }

  /** Adds the items of one request, all or none, and resolves with their results in order. @throws as `submit` */
  async submitAll(items: readonly T[], options: SubmitOptions = {}): Promise<R[]> {
    const { signal, tenant = '' } = options;
    if (signal?.aborted) throw abortError(signal);
    this.admit(items.length, tenant);
    const sizes = items.map((item) => Math.max(1, this.options.sizeOf?.(item) ?? 1));
    this.refuseLate(options, sizes);
    this.requests += 1;
    const results = items.map((item, index) => this.enter(item, sizes[index] ?? 1, options));
    this.depthChanged();
    this.schedule();
    return Promise.all(results);
  }

  private enter(item: T, size: number, options: SubmitOptions): Promise<R> {
    const { signal, tenant = '' } = options;
    return new Promise<R>((resolve, reject) => {
      const onAbort = () => {
        this.queue.remove(waiting);
        this.depthChanged();
        if (signal) waiting.reject(abortError(signal));
      };
      const settled = () => signal?.removeEventListener('abort', onAbort);
      const waiting: Waiting<T, R> = {
        item,
        tenant,
        size,
        options,
        enteredAt: performance.now(),
        request: this.requests,
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
    });
  }

  /** Refuses a request whose last item would, as runs go now, not be answered by its deadline. */
  private refuseLate({ deadlineAtMs, tenant = '' }: SubmitOptions, sizes: readonly number[]): void {
    if (deadlineAtMs === undefined) return;
    const before = this.queue.ahead(tenant);
    const others = sizes.slice(1).reduce((sum, size) => sum + size, 0);
    const load = { count: before.count + sizes.length - 1, cost: before.cost + others };
    const waitMs = this.pace.msFor(Math.floor(this.batchesOf(load)), performance.now());
    if (deadlineAtMs <= Date.now() + waitMs + this.pace.quickestMs) throw late();
  }

  /** How many full batches that makes, by number or by cost. */
  private batchesOf({ count, cost }: FairLoad): number {
    const { maxBatch, maxCost = Infinity } = this.options;
    return Math.max(count / maxBatch, cost / maxCost);
  }

  private get lanes(): number {
    return this.options.lanes?.lanes ?? 1;
  }

  private schedule(): void {
    if (!this.mayBegin()) {
      if (this.queue.length > 0) this.options.lanes?.press();
      return;
    }
    const mayWait = this.isCrowded && this.options.maxDelayMs > 0;
    if (!mayWait || this.batchesOf(this.queue.load) >= 1) {
      clearTimeout(this.timer);
      this.timer = undefined;
      this.begin();
    } else {
      this.timer ??= setTimeout(() => {
        this.timer = undefined;
        this.begin();
      }, this.options.maxDelayMs);
    }
  }

  private mayBegin(): boolean {
    if (this.again.length > 0) return this.running === 0;
    return this.queue.length > 0 && this.running < this.lanes;
  }

  /** Begins what may begin: second tries first, each alone. */
  private begin(): void {
    while (this.mayBegin()) {
      const failed = this.again.shift();
      const batch = failed ? [failed].filter(isWanted) : this.take();
      if (batch.length > 0) void this.execute(batch, failed !== undefined);
    }
    if (this.running === 0) this.queue.rest();
  }

  /** The next batch, without those that are too late. */
  private take(): Waiting<T, R>[] {
    const now = Date.now();
    for (const waiting of this.queue.removeAll(({ options }) => isLate(options, now))) waiting.reject(late());
    const { maxBatch, maxCost = Infinity } = this.options;
    const batch = this.queue.take({ maxBatch, maxCost });
    this.depthChanged();
    return batch;
  }

  private async execute(batch: readonly Waiting<T, R>[], isSecondTry: boolean): Promise<void> {
    this.running += 1;
    const startedAt = performance.now();
    this.pace.begun(startedAt);
    await this.answer(batch, isSecondTry);
    this.pace.ended(startedAt, performance.now());
    this.running -= 1;
    const [first] = batch;
    this.isCrowded = this.queue.length > 0 || batch.some(({ request }) => request !== first?.request);
    if (this.again.length > 0) this.begin();
    // What gathered during the run has waited long enough.
    else
      setImmediate(() => {
        this.begin();
      });
    if (isSecondTry) return;
    this.options.onBatch?.(
      batch.length,
      batch.map(({ enteredAt }) => startedAt - enteredAt),
    );
  }

  private async answer(batch: readonly Waiting<T, R>[], isSecondTry: boolean): Promise<void> {
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
      if (isTriedAgain) this.again.push(...batch);
      else for (const waiting of batch) waiting.reject(toThalamusError(error));
    }
  }

  private depthChanged(): void {
    const change = this.queue.length - this.toldDepth;
    this.toldDepth = this.queue.length;
    if (change !== 0) this.options.onDepth?.(change);
  }
}

/** Whether a failed item still has a caller who waits; told so when it is too late. */
function isWanted({ options, reject }: Waiting<unknown, never>): boolean {
  const { signal } = options;
  if (signal?.aborted) reject(abortError(signal));
  else if (isLate(options, Date.now())) reject(late());
  else return true;
  return false;
}

function isLate({ deadlineAtMs = Infinity }: SubmitOptions, now: number): boolean {
  return deadlineAtMs <= now;
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
