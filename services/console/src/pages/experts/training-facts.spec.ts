import { describe, expect, it } from 'vitest';
import { curveRows } from './training-facts.js';

describe('curveRows', () => {
  it('puts the losses of both kinds at their steps', () => {
    const training = [1, 2, 3].map((step) => ({ step, loss: 4 - step }));
    const validation = [
      { step: 2, loss: 9 },
      { step: 5, loss: 8 },
    ];
    expect(curveRows({ training, validation })).toEqual([
      { step: 1, training: 3, validation: null },
      { step: 2, training: 2, validation: 9 },
      { step: 3, training: 1, validation: null },
      { step: 5, training: null, validation: 8 },
    ]);
    expect(curveRows({ training: [], validation: [] })).toEqual([]);
  });

  it('averages neighbours of a long training and keeps its end', () => {
    const training = Array.from({ length: 1_000 }, (_, at) => ({ step: at + 1, loss: at % 2 }));
    const rows = curveRows({ training, validation: [] });
    expect(rows.length).toBeLessThanOrEqual(160);
    expect(rows.at(-1)?.step).toBe(1_000);
    for (const row of rows) expect(row.training).toBeCloseTo(0.5, 0);
  });
});
