import { performance } from 'node:perf_hooks';
import { getHeapStatistics } from 'node:v8';

/** Work that made the garbage, such as a start, has ended by then, and whoever waited for it has been answered. */
const DELAY_MS = 2_000;
/** How often a process looks whether it is idle. */
const LOOK_MS = 15_000;
/** Share of such a time that an idle process works at most. */
const IDLE_SHARE = 0.05;
/** Growth of the heap since it was collected that is worth collecting. */
const WORTH_BYTES = 2 * 2 ** 20;

let timer: NodeJS.Timeout | undefined;

/**
 * Gives memory that much reading has left behind, as a start or the loading of a model does, back to the system: soon, once,
 * however often it is asked for. A collector that is not pressed would keep it for hours. Does nothing unless Node runs with
 * `--expose-gc`.
 */
export function collectGarbageSoon(delayMs = DELAY_MS): void {
  if (!globalThis.gc || timer) return;
  timer = setTimeout(() => {
    timer = undefined;
    collect();
  }, delayMs);
  timer.unref();
}

/**
 * Gives back what requests have left behind whenever a process stands idle: until more of them press it, its collector would
 * keep that. Never while it works, so that no request waits for it but one that comes in that very moment. Does nothing unless
 * Node runs with `--expose-gc`.
 */
export function collectGarbageWhenIdle(everyMs = LOOK_MS): void {
  if (!globalThis.gc) return;
  let seen = performance.eventLoopUtilization();
  let leastBytes = Infinity;
  setInterval(() => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, seen);
    seen = now;
    const bytes = usedBytes();
    leastBytes = Math.min(leastBytes, bytes);
    if (utilization > IDLE_SHARE || bytes - leastBytes < WORTH_BYTES) return;
    collect();
    leastBytes = usedBytes();
  }, everyMs).unref();
}

function collect(): void {
  globalThis.gc?.({ type: 'major', flavor: 'last-resort', execution: 'sync' });
}

function usedBytes(): number {
  return getHeapStatistics().used_heap_size;
}
