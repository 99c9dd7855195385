import { createRandom } from '@thalamus/tensor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NEVER_USED, used } from './recent-use.js';

const RUNS = { numRuns: 300, seed: 20261129 };
const HALF_LIFE = 100;
const times = fc.array(fc.integer({ min: 0, max: 5_000 }), { minLength: 1, maxLength: 40 });
const rising = (list: readonly number[]) => [...list].sort((a, b) => a - b);
const worthOf = (list: readonly number[]) =>
  rising(list).reduce((worth, time) => used(worth, time, HALF_LIFE), NEVER_USED);

describe('the worth of recent uses', () => {
  it('is that of the sum of what each use is worth at any time', () => {
    fc.assert(
      fc.property(times, (list) => {
        const at = 5_000;
        const sum = list.reduce((total, time) => total + 2 ** ((time - at) / HALF_LIFE), 0);
        expect(2 ** (worthOf(list) - at / HALF_LIFE)).toBeCloseTo(sum, 9);
      }),
      RUNS,
    );
  });

  it('is the time of a single use, and grows with each', () => {
    expect(used(NEVER_USED, 250, HALF_LIFE)).toBe(2.5);
    fc.assert(
      fc.property(times, fc.integer({ min: 0, max: 5_000 }), (list, more) => {
        expect(worthOf([...list, more])).toBeGreaterThanOrEqual(worthOf(list));
      }),
      RUNS,
    );
  });

  it('orders by the last use what is used equally often in turn', () => {
    const first = worthOf([0, 100, 200, 300]);
    const second = worthOf([50, 150, 250, 350]);
    expect(second).toBeGreaterThan(first);
  });

  it('keeps the popular ones of a skewed traffic where the time of the last use alone loses them', () => {
    const experts = 12;
    const room = 6;
    const weights = Array.from({ length: experts }, (_, rank) => 1 / (rank + 1));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    const hitsOf = (worth: (before: number, time: number) => number) => {
      const draw = createRandom(5);
      const known = new Array<number>(experts).fill(NEVER_USED);
      const loaded = new Set<number>();
      let hits = 0;
      for (let time = 0; time < 20_000; time++) {
        let at = (draw.below(1e6) / 1e6) * total;
        const wanted = Math.max(
          0,
          weights.findIndex((weight) => (at -= weight) < 0),
        );
        known[wanted] = worth(known[wanted]!, time);
        if (loaded.has(wanted)) hits += 1;
        else {
          if (loaded.size === room) loaded.delete([...loaded].sort((a, b) => known[a]! - known[b]!)[0]!);
          loaded.add(wanted);
        }
      }
      return hits / 20_000;
    };
    const best = weights.slice(0, room).reduce((sum, weight) => sum + weight, 0) / total;
    const byLastUse = hitsOf((_, time) => time);
    const byWorth = hitsOf((before, time) => used(before, time, 500));
    expect(byWorth).toBeGreaterThan(byLastUse + 0.03);
    // Each of the others must be loaded to be answered, at the cost of one of the best.
    expect(byWorth).toBeLessThan(best);
  });
});
