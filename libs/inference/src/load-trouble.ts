import { ThalamusError, toThalamusError } from '@thalamus/errors';
import { isHung } from './inference-child.js';

/** So often a process may end while it loads one thing, before that thing is left out of it. */
const MOST_CRASHES = 3;
const FIRST_PAUSE_MS = 5_000;
const LONGEST_PAUSE_MS = 5 * 60_000;

/**
 * What went wrong when something that is open was given to a new process: it fails its own runs, and is tried again after a while.
 * A process that ended meanwhile may have been struck by chance; one that ends every time is not started for this any more.
 */
export class LoadTrouble {
  private crashes = 0;
  private tries = 0;
  private retryAt = 0;
  private fault: ThalamusError | undefined;
  private isSpoilt = false;

  /** Why runs fail now; undefined when all is well, and when it is time for another try. */
  errorAt(now: number): ThalamusError | undefined {
    return now < this.retryAt ? this.fault : undefined;
  }

  /** Whether the process lacks it, or has it in a form that is of no use. */
  get isLacking(): boolean {
    return this.isSpoilt || this.fault !== undefined;
  }

  /** The process has it, but what it has is of no use any more: it is given again before the next run. */
  spoilt(): void {
    this.isSpoilt = true;
  }

  loaded(): void {
    this.isSpoilt = false;
    this.crashes = this.tries = this.retryAt = 0;
    this.fault = undefined;
  }

  failed(cause: unknown, now: number): void {
    const error = toThalamusError(cause);
    const hasCrashed = error.code === 'EXPERT_CRASHED';
    if (hasCrashed) this.crashes += 1;
    if (hasCrashed && !isHung(error) && this.crashes < MOST_CRASHES) return;
    const pauseMs = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.tries);
    this.tries += 1;
    this.retryAt = now + pauseMs;
    this.fault = hasCrashed ? givenUp(error, this.crashes, pauseMs) : error;
  }
}

function givenUp(cause: ThalamusError, crashes: number, retryAfterMs: number): ThalamusError {
  return new ThalamusError(
    'EXPERT_CRASHED',
    `Its process ended ${crashes} times while it loaded the model (last: ${cause.message}); the next try is in ${retryAfterMs} ms at the earliest. Unload the model, or register a version that loads.`,
    { retryAfterMs, cause },
  );
}
