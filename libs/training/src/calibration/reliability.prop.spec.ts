import { createRandom } from '@thalamus/tensor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { foldedNormalMean } from './folded-normal.js';
import { brierFigures, calibrationFigures, reliabilityBins } from './reliability.js';

const SEED = 20_241_102;
const mean = (values: readonly number[]) => values.reduce((sum, x) => sum + x, 0) / values.length;

/** Rows whose true probability of 1 is predicted + gap. */
function rows(seed: number, n: number, gap: number) {
  const random = createRandom(seed);
  const predicted = Float64Array.from({ length: n }, () => 0.1 + 0.6 * random.next());
  return { predicted, measured: predicted.map((p) => (random.next() < p + gap ? 1 : 0)) };
}

describe('calibration figures', () => {
  it('take off a calibrated model the share of the bias that the parametric bootstrap knows of', () => {
    const runs = Array.from({ length: 200 }, (_, seed) => calibrationFigures(rows(seed, 600, 0)));
    // 40 rows a bin, p about .4: a gap of sqrt(2 / pi) x sqrt(.21 / 40) by chance alone.
    const plain = mean(runs.map((run) => run.plain));
    expect(plain).toBeCloseTo(Math.sqrt(2 / Math.PI) * Math.sqrt(0.21 / 40), 2);
    // Gaps of normal noise, measured again, grow by sqrt(2): 2 - sqrt(2) is kept.
    expect(mean(runs.map((run) => run.debiased)) / plain).toBeCloseTo(2 - Math.SQRT2, 1);
    expect(Math.abs(mean(runs.map((run) => run.squared)))).toBeLessThan(2e-4);
  });

  it.each([0.05, 0.1, 0.2])('are right on average where predictions are off by %f', (gap) => {
    const runs = Array.from({ length: 200 }, (_, seed) => calibrationFigures(rows(1_000 + seed, 600, gap)));
    const ofBin = mean(runs.flatMap(({ bins }) => bins.map(({ error }) => error)));
    expect(Math.abs(mean(runs.map((run) => run.debiased)) - gap)).toBeLessThan(0.25 * ofBin);
    const spread = Math.sqrt(mean(runs.map((run) => (run.squared - gap * gap) ** 2)) / runs.length);
    expect(Math.abs(mean(runs.map((run) => run.squared)) - gap * gap)).toBeLessThan(4 * spread);
  });

  it('of many rows keep little that is not there, and all that is', () => {
    const many = rows(1, 20_000, 0);
    const { plain, debiased } = calibrationFigures(many);
    expect(debiased).toBeLessThan(plain);
    expect(debiased).toBeLessThan(0.006);
    const shifted = { ...many, predicted: many.predicted.map((p) => p - 0.1) };
    expect(calibrationFigures(shifted).debiased).toBeCloseTo(0.1, 2);
  });

  it('are those of the formula on rows that can be counted by hand', () => {
    const { plain, bins } = calibrationFigures(
      { predicted: [0.1, 0.1, 0.9, 0.9], measured: [0, 1, 1, 1] },
      2,
    );
    expect(bins.map(({ predicted, measured }) => [predicted, measured])).toEqual([
      [0.1, 0.5],
      [0.9, 1],
    ]);
    expect(plain).toBeCloseTo(0.25, 12);
  });
});

describe('reliability bins', () => {
  const values = fc.array(fc.tuple(fc.constantFrom(0, 0.2, 0.25, 0.5, 0.9), fc.constantFrom(0, 0.5, 1)), {
    minLength: 1,
    maxLength: 60,
  });

  it('hold every row once, part no equal predictions, and lie in order', () => {
    fc.assert(
      fc.property(values, fc.integer({ min: 1, max: 20 }), (pairs, count) => {
        const predicted = pairs.map(([p]) => p);
        const bins = reliabilityBins({ predicted, measured: pairs.map(([, y]) => y) }, count);
        expect(bins.length).toBeLessThanOrEqual(count);
        expect(bins.reduce((sum, { n }) => sum + n, 0)).toBe(pairs.length);
        bins.forEach(({ from }, at) => expect(at === 0 || from > bins[at - 1]!.to).toBe(true));
        for (const { from, to, n } of bins)
          expect(predicted.filter((p) => p >= from && p <= to)).toHaveLength(n);
      }),
      { seed: SEED, numRuns: 300 },
    );
  });

  it('are of equal mass where all predictions differ', () => {
    const predicted = Array.from({ length: 90 }, (_, at) => at / 90);
    expect(reliabilityBins({ predicted, measured: predicted }, 15).map(({ n }) => n)).toEqual(
      new Array(15).fill(6),
    );
  });

  it.each([
    ['no rows', [], [], 15],
    ['a row without a result', [0.5, 0.5], [1, NaN], 15],
    ['no bins', [0.5], [1], 0],
  ])('refuse %s', (_name, predicted, measured, bins) => {
    expect(() => reliabilityBins({ predicted, measured }, bins)).toThrow(
      expect.objectContaining({ code: 'DATASET_INVALID' }),
    );
  });
});

describe('the Brier score', () => {
  it('is the sum of its parts, for outcomes of any kind', () => {
    const value = fc.double({ min: 0, max: 3, noNaN: true });
    fc.assert(
      fc.property(fc.array(fc.tuple(value, value), { minLength: 1, maxLength: 50 }), (pairs) => {
        const figures = brierFigures({ predicted: pairs.map(([p]) => p), measured: pairs.map(([, y]) => y) });
        const { score, reliability, resolution, uncertainty, within } = figures;
        expect(reliability - resolution + uncertainty + within).toBeCloseTo(score, 9);
        const direct = mean(pairs.map(([p, y]) => (p - y) ** 2));
        expect(score).toBeCloseTo(direct, 9);
        expect(resolution).toBeLessThanOrEqual(uncertainty + 1e-9);
      }),
      { seed: SEED, numRuns: 300 },
    );
  });

  it('of the climatology is its uncertainty; a perfect forecast has no score', () => {
    const measured = [0, 1, 1, 0, 1];
    const even = brierFigures({ predicted: measured.map(() => 0.6), measured });
    expect(even.score).toBeCloseTo(0.24, 12);
    expect(even).toMatchObject({ within: 0 });
    expect(even.reliability).toBeCloseTo(0, 12);
    const sure = brierFigures({ predicted: measured, measured });
    expect(sure.score).toBe(0);
    expect(sure.resolution).toBeCloseTo(sure.uncertainty, 12);
  });
});

it('the mean of a folded normal is what a simulation gives', () => {
  const random = createRandom(9);
  for (const [center, deviation] of [
    [0, 1],
    [0.5, 1],
    [-2, 0.7],
  ] as const) {
    const draws = Array.from({ length: 100_000 }, () => Math.abs(center + deviation * random.normal()));
    expect(foldedNormalMean(center, deviation)).toBeCloseTo(mean(draws), 1.7);
  }
  expect(foldedNormalMean(0, 1)).toBeCloseTo(Math.sqrt(2 / Math.PI), 6);
  expect(foldedNormalMean(-3, 0)).toBe(3);
});
