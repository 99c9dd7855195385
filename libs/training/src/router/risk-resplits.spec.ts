import { createRandom } from '@thalamus/tensor';
import { describe, expect, it } from 'vitest';
import { riskResplits, upperShare } from './risk-resplits.js';

/** A dear candidate that errs at one in ten, and a cheap one that errs at one in ten or at one in two. */
function pool(n: number, gap: number) {
  const random = createRandom(4);
  const predicted = new Float32Array(2 * n);
  const measured = new Float32Array(2 * n);
  for (let row = 0; row < n; row++) {
    const cheap = random.next() < gap ? 0.5 : 0.1;
    [0.1, cheap].forEach((chance, k) => {
      predicted[2 * row + k] = chance;
      measured[2 * row + k] = random.next() < chance ? 1 : 0;
    });
  }
  return { predicted, measured, candidates: 2, bound: 1 };
}

describe('riskResplits', () => {
  it('saves where the cheap one does as well, within the bound', () => {
    const target = { alpha: 0.06, delta: 0.1 };
    const figures = riskResplits({ rows: pool(2000, 0.5), costs: [1, 0.1], target, resplits: 50, seed: 1 });
    expect(figures.rows).toBe(1000);
    expect(figures.meanCost).toBeLessThan(0.75);
    expect(figures.meanLost).toBeLessThan(0.06);
    expect(figures.broken / 50).toBeLessThanOrEqual(0.1);
  });

  it('saves nothing where nothing can be shown, and leaves rows with gaps out', () => {
    const rows = pool(60, 1);
    rows.measured[3] = NaN;
    const target = { alpha: 0.01, delta: 0.05 };
    const figures = riskResplits({ rows, costs: [1, 0.1], target, resplits: 10, seed: 1 });
    expect(figures).toMatchObject({ rows: 29, broken: 0, meanCost: expect.closeTo(1, 9) as number });
  });

  it('knows the upper end of a share', () => {
    // 1 - 0.05^(1 / 100), the rule of three.
    expect(upperShare(0, 100)).toBeCloseTo(1 - 0.05 ** 0.01, 9);
    expect(upperShare(5, 5)).toBe(1);
    expect(upperShare(10, 200)).toBeGreaterThan(0.05);
    expect(upperShare(10, 200)).toBeLessThan(0.09);
  });
});
