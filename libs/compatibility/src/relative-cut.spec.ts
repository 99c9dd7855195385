import { createRandom } from '@thalamus/tensor';
import { describe, expect, it } from 'vitest';
import { relativeCut } from './relative-cut.js';

const flips = (count: number, n: number) => Array.from({ length: n }, (_, at) => at < count);

describe('relative cut of flips', () => {
  it('values worked out by hand', () => {
    const of = (from: number, to: number) => relativeCut(flips(from, 100), flips(to, 100), { seed: 1 }).value;
    expect(of(10, 6)).toBeCloseTo(0.4, 12);
    expect(of(10, 0)).toBe(1);
    expect(of(10, 10)).toBe(0);
    expect(of(4, 6)).toBeCloseTo(-0.5, 12);
    expect(of(0, 3)).toBe(-Infinity);
    expect(of(0, 0)).toBeNaN();
  });

  it('the same flips on both sides: no cut, without doubt', () => {
    expect(relativeCut(flips(7, 80), flips(7, 80), { seed: 3 })).toEqual({ value: 0, low: 0, high: 0 });
  });

  it('the same seed, the same interval; it holds the value', () => {
    const random = createRandom(5);
    const before = Array.from({ length: 500 }, () => random.next() < 0.1);
    const after = before.map((flip) => (flip ? random.next() < 0.6 : random.next() < 0.02));
    const first = relativeCut(before, after, { seed: 8 });
    expect(relativeCut(before, after, { seed: 8 })).toEqual(first);
    expect(first.low).toBeLessThan(first.value);
    expect(first.high).toBeGreaterThan(first.value);
  });

  it('covers the true cut about as often as it says', () => {
    const random = createRandom(11);
    let held = 0;
    const trials = 100;
    for (let trial = 0; trial < trials; trial++) {
      // A tenth flips; of those 60 % still do, and of the rest 1 % does: the true cut is 1 - (0.06 + 0.009) / 0.1 = 0.31.
      const before = Array.from({ length: 400 }, () => random.next() < 0.1);
      const after = before.map((flip) => random.next() < (flip ? 0.6 : 0.01));
      const { low, high } = relativeCut(before, after, { seed: trial, resamples: 200 });
      if (low <= 0.31 && 0.31 <= high) held += 1;
    }
    expect(held / trials).toBeGreaterThan(0.86);
    expect(held / trials).toBeLessThan(0.995);
  });

  it('items of a group are drawn together: copies of the same items make no interval narrower', () => {
    const before = flips(10, 60);
    const after = flips(5, 60);
    const names = before.map((_, at) => `item ${at}`);
    const once = relativeCut(before, after, { seed: 4, groups: names });
    const threeTimes = <T>(list: readonly T[]) => [...list, ...list, ...list];
    const copied = relativeCut(threeTimes(before), threeTimes(after), { seed: 4, groups: threeTimes(names) });
    expect(copied).toEqual(once);
  });

  it('refuses lists that are not of the same items', () => {
    expect(() => relativeCut([], [], { seed: 1 })).toThrow(RangeError);
    expect(() => relativeCut([true], [true, false], { seed: 1 })).toThrow(/1 items before, 2 after/);
  });
});
