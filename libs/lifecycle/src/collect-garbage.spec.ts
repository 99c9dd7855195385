import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { collectGarbageSoon } from './collect-garbage.js';

const original = globalThis.gc;
beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
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

  it('is left to Node when it does not offer to collect it', () => {
    Reflect.deleteProperty(globalThis, 'gc');
    collectGarbageSoon(100);
    expect(vi.getTimerCount()).toBe(0);
  });
});
