import { expect, it } from 'vitest';
import { classificationMetrics } from './classification-metrics.js';

it('gives what one computes by hand', () => {
  // Three classes, four rows; answers 0, 0, 1, 1 for truths 0, 1, 1, 0; class 2 never occurs.
  const probabilities = [
    [0.7, 0.2, 0.1],
    [0.6, 0.3, 0.1],
    [0.1, 0.8, 0.1],
    [0.2, 0.5, 0.3],
  ];
  const logs = Float64Array.from(probabilities.flat(), Math.log);
  const metrics = classificationMetrics(logs, Int32Array.of(0, 1, 1, 0), 3);
  expect(metrics.n).toBe(4);
  expect(metrics.accuracy).toBe(0.5);
  // Each occurring class: one true positive, two predicted, two actual: F1 = 2 / 4.
  expect(metrics.macroF1).toBe(0.5);
  expect(metrics.logLoss).toBeCloseTo(
    -(Math.log(0.7) + Math.log(0.3) + Math.log(0.8) + Math.log(0.2)) / 4,
    12,
  );
  // Four bins with one row each: |1 - .7| + |0 - .6| + |1 - .8| + |0 - .5|, over four rows.
  expect(metrics.calibrationError).toBeCloseTo((0.3 + 0.6 + 0.2 + 0.5) / 4, 12);
});

it('puts rows of one bin together before it takes the difference', () => {
  // Both answers have the confidence 0.75, one is right: |1 - 1.5| / 2.
  const logs = Float64Array.from([0.75, 0.25, 0.75, 0.25], Math.log);
  expect(classificationMetrics(logs, Int32Array.of(0, 1), 2).calibrationError).toBeCloseTo(0.25, 12);
});

it('counts certainty in the last bin', () => {
  const logs = Float64Array.of(0, -Infinity);
  expect(classificationMetrics(logs, Int32Array.of(0), 2)).toMatchObject({
    accuracy: 1,
    logLoss: 0,
    calibrationError: 0,
  });
});

it('refuses to measure on nothing', () => {
  expect(() => classificationMetrics(new Float64Array(), new Int32Array(), 2)).toThrow(
    expect.objectContaining({ code: 'DATASET_INVALID' }),
  );
});
