import { recalibrate } from '@thalamus/routing';
import { createRandom } from '@thalamus/tensor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fitBeta, fitIsotonic, type CalibrationPairs } from './fit-recalibration.js';
import { calibrationFigures } from './reliability.js';

const SEED = 20_241_101;
const finite = fc.double({ min: -10, max: 10, noNaN: true });

/** Squared error of the best never-falling function, by trying every cut of the sorted rows into blocks. */
function leastError(targets: readonly number[]): number {
  let least = Infinity;
  for (let cuts = 0; cuts < 2 ** (targets.length - 1); cuts++) {
    const blocks: number[][] = [[]];
    targets.forEach((target, at) => {
      if (at > 0 && (cuts >> (at - 1)) & 1) blocks.push([]);
      blocks.at(-1)!.push(target);
    });
    const means = blocks.map((block) => block.reduce((sum, y) => sum + y, 0) / block.length);
    if (means.some((mean, at) => at > 0 && mean < means[at - 1]!)) continue;
    const error = blocks.reduce(
      (sum, block, at) => sum + block.reduce((part, y) => part + (y - means[at]!) ** 2, 0),
      0,
    );
    least = Math.min(least, error);
  }
  return least;
}

describe('isotonic recalibration', () => {
  it('has the least squared error of all functions that never fall, found by brute force', () => {
    fc.assert(
      fc.property(fc.array(finite, { minLength: 1, maxLength: 9 }), (targets) => {
        const predicted = targets.map((_, at) => at);
        const map = fitIsotonic({ predicted, measured: targets });
        const error = targets.reduce((sum, y, at) => sum + (y - recalibrate(map, at)) ** 2, 0);
        expect(error).toBeCloseTo(leastError(targets), 8);
      }),
      { seed: SEED, numRuns: 300 },
    );
  });

  it('never falls, inside or outside of its knots, whatever the pairs and however many are equal', () => {
    const pair = fc.tuple(fc.oneof(finite, fc.constantFrom(0, 1, 2)), finite);
    const probes = fc.array(fc.double({ min: -20, max: 20, noNaN: true }), { minLength: 2, maxLength: 20 });
    fc.assert(
      fc.property(fc.array(pair, { minLength: 1, maxLength: 40 }), probes, (pairs, points) => {
        const map = fitIsotonic({ predicted: pairs.map(([p]) => p), measured: pairs.map(([, y]) => y) });
        for (let at = 1; at < map.inputs.length; at++) {
          expect(map.inputs[at]!).toBeGreaterThan(map.inputs[at - 1]!);
          expect(map.values[at]!).toBeGreaterThanOrEqual(map.values[at - 1]!);
        }
        const sorted = [...points].sort((a, b) => a - b);
        const values = sorted.map((point) => recalibrate(map, point));
        values.forEach((value, at) => expect(at === 0 || value >= values[at - 1]! - 1e-12).toBe(true));
      }),
      { seed: SEED, numRuns: 300 },
    );
  });

  it('keeps the mean of what was measured, and pools equal predictions', () => {
    const map = fitIsotonic({ predicted: [1, 1, 2, 3], measured: [4, 0, 1, 5] });
    expect(map).toEqual({ kind: 'isotonic', inputs: [1, 2, 3], values: [5 / 3, 5 / 3, 5] });
    expect(recalibrate(map, 2.5)).toBeCloseTo(10 / 3, 12);
    expect([0, 9].map((value) => recalibrate(map, value))).toEqual([5 / 3, 5]);
    expect(recalibrate(map, NaN)).toBeNaN();
  });
});

/** Outcomes whose true probability is a known distortion of what was predicted. */
function distorted(seed: number, n: number, truth: (p: number) => number): CalibrationPairs {
  const random = createRandom(seed);
  const predicted = Float64Array.from({ length: n }, () => random.next());
  return { predicted, measured: predicted.map((p) => (random.next() < truth(p) ? 1 : 0)) };
}

describe('beta recalibration', () => {
  it('finds the distortion that made the outcomes', () => {
    const truth = { kind: 'beta', a: 0.5, b: 2, c: -0.3 } as const;
    const { a, b, c } = fitBeta(distorted(5, 40_000, (p) => recalibrate(truth, p)));
    expect(a).toBeCloseTo(0.5, 1);
    expect(b).toBeCloseTo(2, 1);
    expect(c).toBeCloseTo(-0.3, 1);
  });

  it('is the temperature where a = b and c = 0', () => {
    const logit = (p: number) => Math.log(p / (1 - p));
    for (const p of [0.02, 0.3, 0.5, 0.97])
      expect(logit(recalibrate({ kind: 'beta', a: 0.4, b: 0.4, c: 0 }, p))).toBeCloseTo(0.4 * logit(p), 9);
  });

  it('never turns the order round, though the outcomes do', () => {
    const { a, b } = fitBeta(distorted(6, 4_000, (p) => 1 - p));
    expect(a).toBeGreaterThanOrEqual(0);
    expect(b).toBeGreaterThanOrEqual(0);
    const rising = fitBeta({ predicted: [0, 0.2, 0.9, 1], measured: [0, 0, 1, 1] });
    expect(recalibrate(rising, 0)).toBeLessThan(recalibrate(rising, 1));
  });
});

describe.each([
  ['isotonic', fitIsotonic],
  ['beta', fitBeta],
] as const)('%s recalibration', (_name, fit) => {
  it('brings the calibration error of new rows under 0.02 where it was above 0.1', () => {
    const truth = (p: number) => p ** 3;
    const map = fit(distorted(1, 16_000, truth));
    const { predicted, measured } = distorted(2, 4_000, truth);
    const after = Array.from(predicted, (p) => recalibrate(map, p));
    expect(calibrationFigures({ predicted, measured }).debiased).toBeGreaterThan(0.1);
    expect(calibrationFigures({ predicted: after, measured }).debiased).toBeLessThan(0.02);
  });

  it.each([
    ['no pairs', [], [], /there are none/],
    ['pairs that do not pair', [1], [1, 0], /1 predictions have 2 measurements/],
    ['a value that is no number', [0.5, NaN], [1, 0], /row 1 .* no number/],
  ])('refuses %s', (_case, predicted, measured, reason) => {
    expect(() => fit({ predicted, measured })).toThrow(reason);
    expect(() => fit({ predicted, measured })).toThrow(expect.objectContaining({ code: 'DATASET_INVALID' }));
  });
});

it('beta recalibration refuses what is no probability', () => {
  expect(() => fitBeta({ predicted: [0.5], measured: [1.5] })).toThrow(/measures 1.5/);
});
