import { createRandom } from '@thalamus/tensor';
import { describe, expect, it } from 'vitest';
import { calibrationFigures } from './calibration/reliability.js';
import { bestCandidates, fitGatedLosses } from './fit-gated-losses.js';
import { fitLinearLosses, rowCount, type LossRows } from './fit-linear-losses.js';
import { fitMlpLosses, mlpObjective, prepareMlp } from './fit-mlp-losses.js';
import { encodeLossTable, labelLoss, lossScale, parseLossTable, type LossTable } from './loss-table.js';
import { bestSingle, bootstrapMean, nearOptimal, routingOutcomes } from './routing-metrics.js';
import { sphericalKMeans } from './spherical-k-means.js';

function lossRows(seed: number, rows: number, noise: number): LossRows {
  const random = createRandom(seed);
  const dimension = 3;
  const features = Float32Array.from({ length: rows * dimension }, () => random.normal());
  const losses = new Float64Array(rows * 2);
  for (let row = 0; row < rows; row++) {
    const [a = 0, b = 0, c = 0] = features.subarray(row * dimension, (row + 1) * dimension);
    losses[row * 2] = 2 * a - b + 0.5 + noise * random.normal();
    losses[row * 2 + 1] = -a + 3 * c + 1 + noise * random.normal();
  }
  return { features, dimension, losses, candidates: 2 };
}

describe('linear loss heads', () => {
  it('recover the weights that made the losses', () => {
    const rows = lossRows(1, 200, 0);
    expect(rowCount(rows)).toBe(200);
    const { weights, bias } = fitLinearLosses(rows, 1e-9);
    const expected = [2, -1, 0, -1, 0, 3];
    weights.forEach((weight, at) => expect(weight).toBeCloseTo(expected[at]!, 5));
    expect(bias[0]).toBeCloseTo(0.5, 5);
    expect(bias[1]).toBeCloseTo(1, 5);
  });

  it('satisfy the normal equations of ridge regression', () => {
    const rows = lossRows(2, 50, 0.3);
    const l2 = 0.2;
    const { weights, bias } = fitLinearLosses(rows, l2);
    for (let k = 0; k < 2; k++) {
      for (let i = 0; i <= 3; i++) {
        let pull = 0;
        for (let row = 0; row < 50; row++) {
          const x = [...rows.features.subarray(row * 3, row * 3 + 3), 1];
          const predicted = x
            .slice(0, 3)
            .reduce((sum, value, j) => sum + value * weights[k * 3 + j]!, bias[k]!);
          pull += (predicted - rows.losses[row * 2 + k]!) * x[i]!;
        }
        // Weights are stored in float32.
        expect(Math.abs(pull / 50 + (i < 3 ? l2 * weights[k * 3 + i]! : 0))).toBeLessThan(1e-6);
      }
    }
  });

  it('refuse rows that determine nothing', () => {
    const rows = { features: new Float32Array(6), dimension: 3, losses: new Float64Array(4), candidates: 2 };
    expect(() => fitLinearLosses(rows, 0)).toThrow(expect.objectContaining({ code: 'TENSOR_INVALID' }));
  });
});

describe('MLP loss heads', () => {
  it('have the gradient that central differences give, ranking term included', () => {
    const rows = lossRows(3, 20, 0.1);
    const options = { hidden: 4, l2: 0.01, maxIterations: 1, ranking: 0.7, seed: 5 };
    const { problem, point } = prepareMlp(rows, options);
    const gradient = new Float64Array(point.length);
    const scratch = new Float64Array(point.length);
    mlpObjective(problem, point, gradient);
    const step = 1e-6;
    for (let i = 0; i < point.length; i++) {
      const at = (delta: number) => {
        const moved = point.slice();
        moved[i]! += delta;
        return mlpObjective(problem, moved, scratch);
      };
      expect(Math.abs(gradient[i]! - (at(step) - at(-step)) / (2 * step))).toBeLessThan(1e-7);
    }
  });

  it('fit a linear truth well, and the same for the same seed', () => {
    const rows = lossRows(4, 200, 0);
    const fit = (seed: number) =>
      fitMlpLosses(rows, { hidden: 16, l2: 1e-5, maxIterations: 300, ranking: 0, seed });
    expect(fit(1)).toEqual(fit(1));
    expect(fit(1).weights).not.toEqual(fit(2).weights);
  });
});

it('a gated head knows the dimension of what it takes, and is fitted deterministically', () => {
  const rows = lossRows(6, 100, 0.1);
  const heads = fitGatedLosses(rows, { gateL2: 1e-3, l2: 1e-3 });
  expect(heads).toMatchObject({ kind: 'gated', dimension: 3 });
  expect(heads.gateWeights).toHaveLength(2 * 3);
  expect(heads.weights).toHaveLength(2 * (2 + 3));
  expect(heads).toEqual(fitGatedLosses(rows, { gateL2: 1e-3, l2: 1e-3 }));
});

it('the best candidate of a row is the one with the least loss, the first among equals', () => {
  const losses = Float64Array.of(3, 1, 2, 2, 2, 0.5);
  expect([...bestCandidates({ features: new Float32Array(2), dimension: 1, losses, candidates: 3 })]).toEqual(
    [1, 2],
  );
});

describe('loss tables', () => {
  const scale = lossScale(10);
  const table: LossTable = {
    meta: {
      set: 's',
      task: 'text-classification',
      lossUnit: 'nats',
      labelCount: 10,
      experts: [{ expert: 'a', version: '1', digest: 'sha256:x' }],
      licence: 'CC0-1.0',
      origin: 'made up',
      n: 2,
    },
    rows: [
      { id: 's:1', task: 's', use: 'router', losses: [0.25] },
      { id: 's:2\u2028x', task: 's', use: 'validation', losses: [1.5] },
    ],
  };

  it('clip at ln K, and charge ln K + 1 for a label that cannot be said', () => {
    expect(labelLoss(Math.log(0.5), scale)).toBeCloseTo(Math.log(2), 12);
    expect(labelLoss(Math.log(1e-9), scale)).toBe(Math.log(10));
    expect(labelLoss(undefined, scale)).toBe(Math.log(10) + 1);
  });

  it('are read back as written, split on line feeds only', () => {
    expect(parseLossTable(encodeLossTable(table), 't')).toEqual(table);
  });

  it.each([
    ['no JSON', '{"meta":', /t: line 1 is not JSON/],
    [
      'a missing row',
      encodeLossTable({ ...table, rows: table.rows.slice(1) }),
      /promises 2 rows but 1 follow/,
    ],
    [
      'a loss too many',
      encodeLossTable(table).replace('[0.25]', '[0.25,1]'),
      /line 2 has 2 losses for 1 experts/,
    ],
    ['a negative loss', encodeLossTable(table).replace('0.25', '-1'), /line 2 is wrong at losses\.0/],
  ])('are refused with file and line: %s', (_name, text, pattern) => {
    expect(() => parseLossTable(text, 't')).toThrow(pattern);
  });
});

describe('figures of routing', () => {
  // Three prompts, two candidates; the prediction picks 0, 1, 1.
  const predicted = Float32Array.of(0, 1, 1, 0, 1, 0);
  const measured = Float64Array.of(1, 2, 4, 4, 1, 3);
  const outcomes = routingOutcomes({ predicted, measured, candidates: 2 });

  it('are what one computes by hand', () => {
    expect([...outcomes.chosen]).toEqual([0, 1, 1]);
    expect([...outcomes.routed]).toEqual([1, 4, 3]);
    expect([...outcomes.oracle]).toEqual([1, 4, 1]);
    expect([...outcomes.random]).toEqual([1.5, 4, 2]);
    expect([...nearOptimal(outcomes, 0)]).toEqual([1, 1, 0]);
    expect([...nearOptimal(outcomes, 2)]).toEqual([1, 1, 1]);
    expect(bestSingle(measured, 2)).toBe(0);
  });

  it('measure calibration by bins of equal mass', () => {
    const error = (predicted: readonly number[], measured: readonly number[]) =>
      calibrationFigures({ predicted, measured }, 2).plain;
    expect(error([1, 2, 3, 4], [2, 1, 3, 8])).toBeCloseTo(1, 12);
    expect(error([1, 2], [1, 2])).toBe(0);
  });

  it('give a seeded interval that holds the mean and is as wide as theory says', () => {
    const random = createRandom(8);
    const values = Float64Array.from({ length: 400 }, () => random.normal());
    const figure = bootstrapMean(values, 1);
    expect(figure).toEqual(bootstrapMean(values, 1));
    expect(figure.interval[0]).toBeLessThan(figure.value);
    expect(figure.interval[1]).toBeGreaterThan(figure.value);
    const width = figure.interval[1] - figure.interval[0];
    // 2 · 1.96 / √400, give or take a fifth for sample and resampling.
    expect(width / (3.92 / 20)).toBeGreaterThan(0.8);
    expect(width / (3.92 / 20)).toBeLessThan(1.2);
  });
});

describe('spherical k-means', () => {
  it('finds clouds on the sphere, with centroids of length one', () => {
    const random = createRandom(2);
    const rows = new Float32Array(300 * 3);
    for (let row = 0; row < 300; row++) {
      const point = Array.from(
        { length: 3 },
        (_, axis) => (axis === row % 3 ? 1 : 0) + 0.05 * random.normal(),
      );
      const length = Math.hypot(...point);
      rows.set(
        point.map((value) => value / length),
        row * 3,
      );
    }
    const centroids = sphericalKMeans(rows, 3, 3, 1);
    const axes = [0, 1, 2].map((c) => {
      const centroid = centroids.subarray(c * 3, c * 3 + 3);
      expect(Math.hypot(...centroid)).toBeCloseTo(1, 5);
      return centroid.indexOf(Math.max(...centroid));
    });
    expect(axes.sort()).toEqual([0, 1, 2]);
    expect(centroids).toEqual(sphericalKMeans(rows, 3, 3, 1));
  });

  it('needs a row for each centroid', () => {
    expect(() => sphericalKMeans(new Float32Array(3), 3, 2, 1)).toThrow(
      /2 centroids need at least as many rows/,
    );
  });
});
