import { createRandom } from '@thalamus/tensor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { pairedBootstrap } from '../paired-bootstrap.js';
import { binomialTail } from './binomial-tail.js';
import { bootstrapAccuracy } from './bootstrap-accuracy.js';
import { drawBinomial } from './draw-binomial.js';
import { scoreDifference } from './score-difference.js';

/** P(X = k) of a binomial by products alone. */
function pmf(n: number, p: number): number[] {
  let row = [1];
  for (let trial = 0; trial < n; trial++) {
    const next = new Array<number>(row.length + 1).fill(0);
    row.forEach((mass, k) => {
      next[k]! += mass * (1 - p);
      next[k + 1]! += mass * p;
    });
    row = next;
  }
  return row;
}

describe('binomialTail', () => {
  it('is the sum of the probabilities, of which convolution knows them', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 120 }),
        fc.double({ min: 0.001, max: 0.999, noNaN: true }),
        (n, p) => {
          const masses = pmf(n, p);
          let tail = 0;
          for (let k = n; k >= 0; k--) {
            tail += masses[k]!;
            expect(Math.abs(binomialTail(k, n, p) - tail)).toBeLessThan(1e-9 + 1e-7 * tail);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it('holds at a million items, where the normal curve is near', () => {
    // 10,000 expected, standard deviation 99.5.
    expect(binomialTail(10_000, 1_000_000, 0.01)).toBeCloseTo(0.5, 2);
    expect(binomialTail(10_199, 1_000_000, 0.01)).toBeCloseTo(0.02326, 3);
    expect(binomialTail(20_000, 1_000_000, 0.01)).toBeLessThan(1e-300);
  });

  it('knows its ends and refuses what cannot be', () => {
    expect([binomialTail(0, 5, 0.1), binomialTail(5, 5, 1), binomialTail(1, 5, 0)]).toEqual([1, 1, 0]);
    expect(() => binomialTail(6, 5, 0.1)).toThrow(RangeError);
  });
});

describe('drawBinomial', () => {
  it.each([
    [40, 0.1],
    [40, 0.45],
    [60, 0.8],
    [500, 0.03],
  ])('of %i at %f has the frequencies of the distribution', (n, p) => {
    const random = createRandom(7);
    const draws = 40_000;
    const seen = new Array<number>(n + 1).fill(0);
    for (let at = 0; at < draws; at++) seen[drawBinomial(random, n, p)]! += 1;
    let [statistic, classes] = [0, 0];
    pmf(n, p).forEach((mass, k) => {
      const expected = mass * draws;
      if (expected < 10) return;
      statistic += (seen[k]! - expected) ** 2 / expected;
      classes += 1;
    });
    // Chi-square: mean `classes`, standard deviation sqrt(2 classes).
    expect(statistic).toBeLessThan(classes + 4 * Math.sqrt(2 * classes));
  });

  it('knows its ends', () => {
    const random = createRandom(1);
    expect([drawBinomial(random, 0, 0.5), drawBinomial(random, 9, 0), drawBinomial(random, 9, 1)]).toEqual([
      0, 0, 9,
    ]);
  });
});

describe('bootstrapAccuracy', () => {
  it.each([
    [60, 20, 400],
    [12, 30, 1000],
    [5, 6, 50],
  ])('of %i and %i flips among %i agrees with drawing items', (onlyOld, onlyNew, n) => {
    const items = Array.from({ length: n }, (_, at) => (at < onlyOld ? -1 : at < onlyOld + onlyNew ? 1 : 0));
    const slow = pairedBootstrap(items, { seed: 3, resamples: 4000 });
    const fast = bootstrapAccuracy(onlyOld, onlyNew, n, 5);
    const deviation = Math.sqrt(onlyOld + onlyNew) / n;
    expect(fast.mean).toBeCloseTo(slow.mean, 12);
    expect(Math.abs(fast.low - slow.low)).toBeLessThan(0.15 * deviation + 1 / n);
    expect(Math.abs(fast.high - slow.high)).toBeLessThan(0.15 * deviation + 1 / n);
    expect(bootstrapAccuracy(onlyOld, onlyNew, n, 5)).toEqual(fast);
  });
});

describe('scoreDifference', () => {
  it('gives the published interval of airway hyper-responsiveness (Fagerland et al. 2014, Tango’s method)', () => {
    const { mean, low, high } = scoreDifference(7, 1, 21);
    expect(mean).toBeCloseTo(-0.2857, 4);
    expect(low).toBeCloseTo(-0.517, 3);
    expect(high).toBeCloseTo(-0.026, 3);
  });

  it('turns round when the versions do, holds the mean, and stays within -1 to 1', () => {
    const counts = fc.tuple(fc.nat({ max: 40 }), fc.nat({ max: 40 }), fc.nat({ max: 40 }));
    fc.assert(
      fc.property(counts, ([onlyOld, onlyNew, same]) => {
        const n = onlyOld + onlyNew + same;
        fc.pre(n > 0);
        const forth = scoreDifference(onlyOld, onlyNew, n);
        const back = scoreDifference(onlyNew, onlyOld, n);
        expect(forth.low).toBeCloseTo(-back.high, 9);
        expect(forth.low).toBeLessThanOrEqual(forth.mean);
        expect(forth.high).toBeGreaterThanOrEqual(forth.mean);
        expect(forth.low).toBeGreaterThanOrEqual(-1);
        expect(forth.high).toBeLessThanOrEqual(1);
      }),
    );
  });

  it('covers the true difference in about 95 % of samples, of few flips too', () => {
    const random = createRandom(11);
    const [n, onlyOld, onlyNew] = [200, 0.02, 0.01];
    let covered = 0;
    for (let run = 0; run < 2000; run++) {
      const negative = drawBinomial(random, n, onlyOld);
      const positive = drawBinomial(random, n - negative, onlyNew / (1 - onlyOld));
      const { low, high } = scoreDifference(negative, positive, n);
      if (low <= onlyNew - onlyOld && onlyNew - onlyOld <= high) covered += 1;
    }
    expect(covered / 2000).toBeGreaterThan(0.93);
    expect(covered / 2000).toBeLessThan(0.985);
  });
});
