import { ThalamusError } from '@thalamus/errors';
import type { SubmitOptions } from '@thalamus/inference';
import { keyOf, type Slot, type Waiter } from './slot.js';

/** Timers take no more. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Requests that wait until their expert is loaded: so many at once, each no longer than its deadline and its caller let it. */
export class LoadWaiting {
  private waiting = 0;

  constructor(private readonly most: number) {}

  /** How many wait now. */
  get count(): number {
    return this.waiting;
  }

  /**
   * Waits for a version; when it is ready, the request counts as in flight before anything else happens, so that what was loaded
   * for it is there when it goes on. `isBound` says whether it counts against the limit.
   * @throws EXPERT_OVERLOADED, DEADLINE_EXCEEDED, CANCELLED, why the load failed
   */
  async until(slot: Slot, { signal, deadlineAtMs }: SubmitOptions, isBound = true): Promise<void> {
    if (isBound && this.waiting >= this.most)
      throw new ThalamusError(
        'EXPERT_OVERLOADED',
        `${this.waiting} requests wait already for experts to be loaded; try again in a moment, or raise THALAMUS_MAX_LOAD_QUEUE.`,
        { retryAfterMs: 500 },
      );
    if (signal?.aborted) throw reasonOf(signal);
    this.waiting += 1;
    let timer: NodeJS.Timeout | undefined;
    let onAbort: (() => void) | undefined;
    let waiter: Waiter | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        waiter = {
          resolve: () => {
            slot.inFlight += 1;
            resolve();
          },
          reject,
        };
        slot.waiters.add(waiter);
        onAbort = () => {
          if (signal) reject(reasonOf(signal));
        };
        signal?.addEventListener('abort', onAbort, { once: true });
        if (deadlineAtMs !== undefined)
          timer = setTimeout(
            () => {
              reject(
                new ThalamusError(
                  'DEADLINE_EXCEEDED',
                  `${keyOf(slot)} was not loaded before the deadline of the request; allow more, or pin it with THALAMUS_PINNED_EXPERTS.`,
                ),
              );
            },
            Math.min(LONGEST_TIMER_MS, deadlineAtMs - Date.now()),
          );
      });
    } finally {
      this.waiting -= 1;
      clearTimeout(timer);
      if (onAbort) signal?.removeEventListener('abort', onAbort);
      if (waiter) slot.waiters.delete(waiter);
    }
  }
}

/** Lets everyone who waits for a version go on. */
export function letGoOn({ waiters }: Slot): void {
  for (const waiter of [...waiters]) {
    waiters.delete(waiter);
    waiter.resolve();
  }
}

/** Tells everyone who waits for a version why they wait in vain. */
export function refuseWaiters({ waiters }: Slot, error: ThalamusError): void {
  for (const waiter of [...waiters]) {
    waiters.delete(waiter);
    waiter.reject(error);
  }
}

function reasonOf({ reason }: AbortSignal): ThalamusError {
  if (ThalamusError.is(reason)) return reason;
  return new ThalamusError('CANCELLED', 'The caller gave up while its expert was loaded.');
}
