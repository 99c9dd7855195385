import { ThalamusError, type ErrorCode } from '@thalamus/errors';

/** Decisions that may wait for those before them; more are refused. */
export const MAX_WAITING_DECISIONS = 1_000;

/** Takes one decision after the other; one that fails holds up nobody, and while the bus is away they do not pile up. */
export class DecisionQueue {
  private last: Promise<unknown> = Promise.resolve();
  private waiting = 0;

  /**
   * @param what in words, what waits: `changes`
   * @param code of the refusal of one too many
   */
  constructor(
    private readonly what: string,
    private readonly code: ErrorCode,
  ) {}

  /** @throws the refusal when too many wait, and what `work` throws */
  decide<T>(work: () => Promise<T>): Promise<T> {
    if (this.waiting >= MAX_WAITING_DECISIONS)
      return Promise.reject(
        new ThalamusError(this.code, `${this.waiting} ${this.what} wait already; try again in a moment.`, {
          retryAfterMs: 1_000,
        }),
      );
    this.waiting += 1;
    const result = this.last.then(work).finally(() => {
      this.waiting -= 1;
    });
    this.last = result.catch(() => undefined);
    return result;
  }

  /** Resolves once all that waits now has ended, well or not. */
  async ended(): Promise<void> {
    await this.last;
  }
}
