import { performance } from 'node:perf_hooks';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { collectGarbageSoon, collectGarbageWhenIdle } from './collect-garbage.js';

const original = globalThis.gc;
beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
  if (original) globalThis.gc = original;
  else Reflect.deleteProperty(globalThis, 'gc');
});

describe('garbage', () => {
  it('is collected once for all who ask meanwhile, and again for those who ask later', () => {
    let collections = 0;
    globalThis.gc = (() => {
      collections += 1;
    }) as unknown as NonNullable<typeof globalThis.gc>;
    collectGarbageSoon(100);
    collectGarbageSoon(100);
    expect(collections).toBe(0);
    vi.advanceTimersByTime(100);
    expect(collections).toBe(1);
    collectGarbageSoon(100);
    vi.advanceTimersByTime(100);
    expect(collections).toBe(2);
  });

  it('of requests is collected when the process is idle and there is some', () => {
    let collections = 0;
    let left: number[][] = [];
    globalThis.gc = (() => {
      collections += 1;
      left = [];
    }) as unknown as NonNullable<typeof globalThis.gc>;
    const utilization = vi.spyOn(performance, 'eventLoopUtilization');
    const isBusy = (share: number) => utilization.mockReturnValue({ idle: 0, active: 0, utilization: share });
    isBusy(0);
    collectGarbageWhenIdle(100);
    vi.advanceTimersByTime(100);
    expect(collections, 'nothing was left').toBe(0);
    left.push(Array.from({ length: 1_000_000 }, (_, at) => at));
    isBusy(0.5);
    vi.advanceTimersByTime(100);
    expect(collections, 'it works').toBe(0);
    isBusy(0.01);
    vi.advanceTimersByTime(100);
    expect(collections).toBe(1);
    vi.advanceTimersByTime(100);
    expect(collections, 'nothing is left of it').toBe(1);
    expect(left).toEqual([]);
  });

  it('is left to Node when it does not offer to collect it', () => {
    Reflect.deleteProperty(globalThis, 'gc');
    collectGarbageSoon(100);
    collectGarbageWhenIdle(100);
    expect(vi.getTimerCount()).toBe(0);
  });
});
