import { describe, expect, it } from 'vitest';
import { calibratedLosses, calibratedPredictions, type LossCalibration } from './calibrated-losses.js';

const calibration: LossCalibration = {
  recalibration: [
    { kind: 'isotonic', inputs: [0, 1], values: [0.2, 0.6] },
    { kind: 'beta', a: 1, b: 1, c: 0 },
  ],
  intervals: [
    { lower: -0.1, upper: 0.2, scales: [1, 3] },
    { lower: -0.5, upper: 0.5 },
  ],
};

const predicted = (losses: ArrayLike<number>, region: number, own = calibration) =>
  Array.from(
    calibratedPredictions(losses, region, {
      candidates: [{ expert: 'a' }, { expert: 'b' }],
      calibration: own,
    }).values(),
  );

describe('calibratedPredictions', () => {
  it('maps each loss, and scales its interval by the region', () => {
    const [a, b] = predicted([0.5, 0.25], 1);
    expect(a).toMatchObject({ loss: 0.4, raw: 0.5 });
    expect(a!.low).toBeCloseTo(0.4 - 0.3, 12);
    expect(a!.high).toBeCloseTo(0.4 + 0.6, 12);
    expect(b!.loss).toBeCloseTo(0.25, 12);
    expect(b!.high).toBeCloseTo(0.75, 12);
    expect(predicted([0.5, 0.25], 0)[0]!.high).toBeCloseTo(0.6, 12);
  });

  it('takes losses as they are where nothing is said of them', () => {
    expect(predicted([0.5, NaN], 7, { intervals: [] })).toEqual([
      { loss: 0.5, raw: 0.5, low: 0.5, high: 0.5 },
      { loss: NaN, raw: NaN, low: NaN, high: NaN },
    ]);
  });

  it('is the same for a matrix as for its rows', () => {
    const matrix = Float32Array.of(0.5, 0.25, 0.75, 0.5);
    const rows = [0, 1].flatMap((row) =>
      predicted(matrix.subarray(2 * row, 2 * row + 2), 0).map(({ loss }) => loss),
    );
    expect([...calibratedLosses(matrix, 2, calibration)]).toEqual(rows);
  });
});
