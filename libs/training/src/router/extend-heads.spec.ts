import { predictLosses, projectedRows, type LossHeads, type SingleLossHeads } from '@thalamus/routing';
import { createRandom } from '@thalamus/tensor';
import { describe, expect, it } from 'vitest';
import { extendHeads, type ExtensionRows } from './extend-heads.js';
import { averageOf } from './learners.js';

const DIMENSION = 6;
const CANDIDATES = 3;
const KEYS = 80;

const random = createRandom(4);
const values = (length: number) => Float32Array.from({ length }, () => random.normal());

/** Rows of length 1. */
function vectors(count: number): Float32Array {
  const all = values(count * DIMENSION);
  for (let from = 0; from < all.length; from += DIMENSION) {
    const row = all.subarray(from, from + DIMENSION);
    const length = Math.hypot(...row);
    row.forEach((value, at) => (row[at] = value / length));
  }
  return all;
}

const linear: SingleLossHeads = {
  kind: 'linear',
  dimension: DIMENSION,
  weights: values(CANDIDATES * DIMENSION),
  bias: values(CANDIDATES),
};
const gated: SingleLossHeads = {
  kind: 'gated',
  dimension: DIMENSION,
  gateWeights: values(2 * DIMENSION),
  gateBias: values(2),
  weights: values(CANDIDATES * (2 + DIMENSION)),
  bias: values(CANDIDATES),
};
const mlp: SingleLossHeads = {
  kind: 'mlp',
  dimension: DIMENSION,
  hiddenWeights: values(12 * DIMENSION),
  hiddenBias: values(12),
  weights: values(CANDIDATES * 12),
  bias: values(CANDIDATES),
};
const projection = Float32Array.from({ length: DIMENSION * DIMENSION }, (_, at) =>
  at % (DIMENSION + 1) === 0 ? 1 : 0,
);
const nearest: SingleLossHeads = {
  kind: 'nearest',
  dimension: DIMENSION,
  projection,
  projected: DIMENSION,
  keys: projectedRows(vectors(KEYS), { projection, projected: DIMENSION, dimension: DIMENSION }),
  values: values(KEYS * CANDIDATES),
  candidates: CANDIDATES,
  neighbours: 10,
  temperature: 0.1,
};
const HEADS: readonly (readonly [string, LossHeads])[] = [
  ['linear', linear],
  ['gated', gated],
  ['mlp', mlp],
  ['nearest', nearest],
  ['average', averageOf([linear, nearest, gated, mlp])],
];

/** Losses of a model that is like the first of `heads` and dislikes one direction, with noise. */
function rowsFor(heads: LossHeads, count: number): ExtensionRows {
  const features = vectors(count);
  const all = predictLosses(heads, features);
  const losses = Float64Array.from(
    { length: count },
    (_, row) => 2 + 0.5 * all[row * CANDIDATES]! + features[row * DIMENSION + 1]! + 0.1 * random.normal(),
  );
  return { features, losses, folds: Uint8Array.from({ length: count }, (_, row) => row % 5) };
}

describe.each(HEADS)('one candidate more for %s heads', (_, heads) => {
  const rows = rowsFor(heads, 400);
  const extended = extendHeads(heads, rows, 0.9);
  const asked = vectors(200);

  it('leaves what is predicted for the others to the bit', () => {
    const before = predictLosses(heads, asked);
    const after = predictLosses(extended.heads, asked);
    expect(after.length).toBe((before.length / CANDIDATES) * (CANDIDATES + 1));
    for (let row = 0; row < 200; row++)
      expect(after.subarray(row * (CANDIDATES + 1), row * (CANDIDATES + 1) + CANDIDATES)).toEqual(
        before.subarray(row * CANDIDATES, (row + 1) * CANDIDATES),
      );
  });

  it('is predicted better than by its mean, on new rows too, and its interval holds about what it says', () => {
    const fresh = rowsFor(heads, 1_000);
    const predicted = predictLosses(extended.heads, fresh.features);
    const own = fresh.losses.map((__, row) => predicted[row * (CANDIDATES + 1) + CANDIDATES]!);
    const residuals = fresh.losses.map((loss, row) => loss - own[row]!);
    const error = residuals.reduce((sum, value) => sum + Math.abs(value), 0) / residuals.length;
    expect(extended.meanError).toBeLessThan(0.7 * extended.meanErrorOfMean);
    expect(error).toBeLessThan(0.7 * extended.meanErrorOfMean);
    expect(Math.abs(residuals.reduce((sum, value) => sum + value, 0) / residuals.length)).toBeLessThan(0.1);
    const { lower, upper } = extended.interval;
    const held = residuals.filter((value) => value >= lower && value <= upper).length / residuals.length;
    expect(held).toBeGreaterThan(0.83);
    expect(held).toBeLessThan(0.96);
  });

  it('is its mean where the prompts say nothing of it', () => {
    const noise = { ...rows, losses: rows.losses.map(() => 3 + random.normal()) };
    const { heads: after } = extendHeads(heads, noise, 0.9);
    const predicted = predictLosses(after, asked);
    const own = Array.from({ length: 200 }, (__, row) => predicted[row * (CANDIDATES + 1) + CANDIDATES]!);
    own.forEach((loss) => expect(Math.abs(loss - 3)).toBeLessThan(0.8));
  });
});

describe('a head with too few rows', () => {
  it('is refused, since an interval cannot be told', () => {
    expect(() => extendHeads(linear, rowsFor(linear, 15), 0.9)).toThrow(/too few for intervals/);
  });
});
