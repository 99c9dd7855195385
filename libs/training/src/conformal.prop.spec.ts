import { createRandom } from '@thalamus/tensor';
import { describe, expect, it } from 'vitest';
import { abstentionThreshold, residualInterval } from './conformal.js';

describe('the split-conformal interval', () => {
  it('takes the order statistics of the textbook', () => {
    // n = 9, coverage 0.8: the 1st and the 9th of ten gaps, so the extremes.
    expect(residualInterval([5, 1, 4, 2, 3, 9, 8, 7, 6], 0.8)).toEqual({ lower: 1, upper: 9 });
    // n = 19, coverage 0.8: the 2nd and the 18th.
    expect(
      residualInterval(
        Array.from({ length: 19 }, (_, i) => i + 1),
        0.8,
      ),
    ).toEqual({ lower: 2, upper: 18 });
  });

  it.each([0.8, 0.9, 0.95])('covers new draws of any distribution as often as promised (%f)', (coverage) => {
    const random = createRandom(42);
    const shapes = [() => random.normal(), () => random.next() ** 4, () => -Math.log(1 - random.next())];
    for (const draw of shapes) {
      let held = 0;
      const rounds = 4_000;
      for (let round = 0; round < rounds; round++) {
        const { lower, upper } = residualInterval(Array.from({ length: 99 }, draw), coverage);
        const fresh = draw();
        if (fresh >= lower && fresh <= upper) held++;
      }
      // Exact for continuous draws: the share promised, give or take four standard deviations of the simulation.
      const deviation = Math.sqrt((coverage * (1 - coverage)) / rounds);
      expect(held / rounds).toBeGreaterThan(coverage - 4 * deviation);
      expect(held / rounds).toBeLessThan(coverage + 4 * deviation + 0.02);
    }
  });

  it('refuses fewer rows than the coverage needs, and says how many it needs', () => {
    expect(() => residualInterval([1, 2, 3], 0.9)).toThrow(/at least 19/);
    expect(() => residualInterval([], 0.9)).toThrow(expect.objectContaining({ code: 'DATASET_INVALID' }));
  });
});

describe('the abstention threshold', () => {
  it('turns away at most the share that was asked for', () => {
    const random = createRandom(3);
    let away = 0;
    const rounds = 4_000;
    for (let round = 0; round < rounds; round++) {
      const threshold = abstentionThreshold(
        Array.from({ length: 99 }, () => random.normal()),
        0.05,
      );
      if (random.normal() > threshold) away++;
    }
    expect(away / rounds).toBeLessThan(0.05 + 4 * Math.sqrt((0.05 * 0.95) / rounds));
    expect(away / rounds).toBeGreaterThan(0.03);
  });

  it('needs scores', () => {
    expect(() => abstentionThreshold([], 0.05)).toThrow(expect.objectContaining({ code: 'DATASET_INVALID' }));
  });
});
