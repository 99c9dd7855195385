import { createRandom, logSumExp } from '@thalamus/tensor';
import { describe, expect, it } from 'vitest';
import { minimise } from './minimise.js';
import {
  fitSoftmaxRegression,
  headLogProbabilities,
  softmaxObjective,
  type LabelledFeatures,
} from './softmax-regression.js';

function randomData(seed: number, rows = 40, width = 5, classCount = 4): LabelledFeatures {
  const random = createRandom(seed);
  return {
    features: Float32Array.from({ length: rows * width }, () => 2 * random.next() - 1),
    width,
    classes: Int32Array.from({ length: rows }, () => Math.floor(random.next() * classCount)),
    classCount,
  };
}

describe('the objective of softmax regression', () => {
  it.each([1, 2, 3])('has the gradient that central differences give (seed %i)', (seed) => {
    const data = randomData(seed);
    const random = createRandom(seed + 100);
    const size = data.classCount * (data.width + 1);
    const point = Float64Array.from({ length: size }, () => 2 * random.next() - 1);
    const gradient = new Float64Array(size);
    const scratch = new Float64Array(size);
    softmaxObjective(data, 0.03, point, gradient);
    const step = 1e-5;
    for (let i = 0; i < size; i++) {
      const at = (delta: number) => {
        const moved = point.slice();
        moved[i]! += delta;
        return softmaxObjective(data, 0.03, moved, scratch);
      };
      const expected = (at(step) - at(-step)) / (2 * step);
      // Truncation is of the order of step², rounding of machine epsilon over step.
      expect(Math.abs(gradient[i]! - expected)).toBeLessThan(1e-9);
    }
  });

  it('is ln(classes) at zero, and does not penalise the bias', () => {
    const data = randomData(4);
    const size = data.classCount * (data.width + 1);
    const gradient = new Float64Array(size);
    expect(softmaxObjective(data, 0.1, new Float64Array(size), gradient)).toBeCloseTo(Math.log(4), 12);
    const biased = new Float64Array(size).fill(3, data.classCount * data.width);
    expect(softmaxObjective(data, 0.1, biased, gradient)).toBeCloseTo(Math.log(4), 12);
  });
});

describe('the fit', () => {
  it('reaches a point where nothing pulls, the only one there is', () => {
    const data = randomData(7);
    const head = fitSoftmaxRegression(data, { l2: 0.01, maxIterations: 500 });
    const point = Float64Array.of(...head.weights, ...head.bias);
    const gradient = new Float64Array(point.length);
    softmaxObjective(data, 0.01, point, gradient);
    expect(Math.max(...gradient.map(Math.abs))).toBeLessThan(1e-5);
  });

  it('gives the log-odds of the classes when the features say nothing', () => {
    const classes = Int32Array.from({ length: 100 }, (_, row) => (row < 80 ? 0 : 1));
    const data = { features: new Float32Array(100), width: 1, classes, classCount: 2 };
    const head = fitSoftmaxRegression(data, { l2: 1e-4 });
    expect(head.bias[0]! - head.bias[1]!).toBeCloseTo(Math.log(80 / 20), 4);
    const [first, second] = headLogProbabilities(head, Float32Array.of(0), 1);
    expect(Math.exp(first!)).toBeCloseTo(0.8, 4);
    expect(Math.exp(first!) + Math.exp(second!)).toBeCloseTo(1, 12);
  });

  it('is the same to the last bit every time', () => {
    const fit = () => fitSoftmaxRegression(randomData(9), { l2: 1e-3 });
    expect(fit()).toEqual(fit());
  });

  it('survives logits that overflow the exponential', () => {
    const logs = headLogProbabilities(
      { weights: Float32Array.of(1e4, -1e4), bias: Float32Array.of(0, 0) },
      Float32Array.of(1),
      1,
    );
    expect([...logs]).toEqual([0, -2e4]);
    expect(logSumExp(logs)).toBeCloseTo(0, 12);
  });
});

describe('minimise', () => {
  it('finds the minimum of the Rosenbrock function', () => {
    const point = Float64Array.of(-1.2, 1);
    const value = minimise(
      (at, gradient) => {
        const [x = 0, y = 0] = at;
        gradient[0] = -400 * x * (y - x * x) - 2 * (1 - x);
        gradient[1] = 200 * (y - x * x);
        return 100 * (y - x * x) ** 2 + (1 - x) ** 2;
      },
      point,
      { maxIterations: 200, tolerance: 1e-9 },
    );
    expect(value).toBeLessThan(1e-15);
    expect(point[0]).toBeCloseTo(1, 6);
    expect(point[1]).toBeCloseTo(1, 6);
  });

  it('refuses a loss that is no number', () => {
    expect(() =>
      minimise(() => Number.NaN, new Float64Array(1), { maxIterations: 5, tolerance: 1e-6 }),
    ).toThrow(expect.objectContaining({ code: 'DATASET_INVALID' }));
  });
});
