import type { ThalamusError } from '@thalamus/errors';
import { keyOf, type Slot } from './slot.js';

const LONGEST_RETRY_MS = 30_000;
/** So many times what a load took whose process ended is waited at least: a graph that hangs would else keep a core for itself. */
const REST = 4;

/** How long nobody tries again what a process ended over, milliseconds; 0 for another fault. */
export function restAfter({ code }: ThalamusError, tookMs: number): number {
  return code === 'EXPERT_CRASHED' ? REST * tookMs : 0;
}

/** Tries loads again that failed for a passing reason, after ever longer pauses. */
export class LoadRetries {
  private readonly failures = new Map<string, number>();
  private readonly timers = new Map<string, NodeJS.Timeout>();

  constructor(
    private readonly firstMs: number,
    private readonly again: (slot: Slot) => void,
  ) {}

  /** `restMs`: the shortest pause. */
  later(slot: Slot, restMs = 0): void {
    const key = keyOf(slot);
    const failures = this.failures.get(key) ?? 0;
    this.failures.set(key, failures + 1);
    const pauseMs = Math.max(restMs, Math.min(LONGEST_RETRY_MS, this.firstMs * 2 ** failures));
    clearTimeout(this.timers.get(key));
    const retry = () => {
      this.timers.delete(key);
      this.again(slot);
    };
    this.timers.set(key, setTimeout(retry, pauseMs).unref());
  }

  succeeded(slot: Slot): void {
    this.failures.delete(keyOf(slot));
  }

  /** The version is gone. */
  forget(slot: Slot): void {
    clearTimeout(this.timers.get(keyOf(slot)));
    this.timers.delete(keyOf(slot));
    this.failures.delete(keyOf(slot));
  }

  close(): void {
    for (const timer of this.timers.values()) clearTimeout(timer);
  }
}
