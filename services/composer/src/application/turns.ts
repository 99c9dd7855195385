import { ThalamusError } from '@thalamus/errors';

/** One piece of work at a time, in order of arrival, with a bound on what waits. */
export class Turns {
  private tail: Promise<void> = Promise.resolve();
  private waiting = 0;

  constructor(private readonly maxWaiting: number) {}

  /** Runs the work when its turn has come. @throws EXPERT_OVERLOADED when too much waits, the reason of the signal */
  async take<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    if (this.waiting > this.maxWaiting) {
      throw new ThalamusError(
        'EXPERT_OVERLOADED',
        `${this.maxWaiting} compositions wait already; try again in a minute, or raise THALAMUS_MAX_QUEUE.`,
        { retryAfterMs: 60_000 },
      );
    }
    this.waiting += 1;
    const before = this.tail;
    const end = Promise.withResolvers<undefined>();
    this.tail = end.promise;
    try {
      await unlessAborted(before, signal);
      return await work();
    } finally {
      this.waiting -= 1;
      // Whoever gave up while it waited must not let the next one overtake what still runs.
      void before.then(() => {
        end.resolve(undefined);
      });
    }
  }
}

async function unlessAborted(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => {
    aborted.reject(signal.reason as Error);
  };
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
