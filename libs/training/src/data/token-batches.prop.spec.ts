import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { evaluationBatches, trainingBatches } from './token-batches.js';

const lengths = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 400 });
const limits = fc.record({
  tokensPerBatch: fc.integer({ min: 1, max: 2_000 }),
  rowsPerBatch: fc.integer({ min: 1, max: 64 }),
});
const RUNS = { seed: 20_261_125, numRuns: 200 };

describe('batches by tokens', () => {
  it('hold every row once, within rows and padded tokens unless a row alone is longer', () => {
    fc.assert(
      fc.property(
        lengths,
        limits,
        fc.integer({ min: 0, max: 2 ** 31 - 1 }),
        fc.nat(50),
        (rows, limit, seed, epoch) => {
          for (const batches of [
            trainingBatches(rows, { ...limit, seed, epoch }),
            evaluationBatches(rows, limit),
          ]) {
            expect(batches.flat().sort((a, b) => a - b)).toEqual(rows.map((_, row) => row));
            for (const batch of batches) {
              const padded = batch.length * Math.max(...batch.map((row) => rows[row]!));
              expect(batch.length).toBeLessThanOrEqual(limit.rowsPerBatch);
              expect(padded <= limit.tokensPerBatch || batch.length === 1).toBe(true);
            }
          }
        },
      ),
      RUNS,
    );
  });

  it('are a function of seed and pass, and another for each', () => {
    const rows = Array.from({ length: 300 }, (_, row) => 5 + (row % 40));
    const of = (seed: number, epoch: number) =>
      JSON.stringify(trainingBatches(rows, { tokensPerBatch: 500, rowsPerBatch: 16, seed, epoch }));
    expect(of(1, 2)).toBe(of(1, 2));
    expect(new Set([of(1, 0), of(1, 1), of(2, 0), of(2, 1)]).size).toBe(4);
  });

  it('waste little on padding', () => {
    const rows = Array.from({ length: 2_000 }, (_, row) => 4 + ((row * 7919) % 100));
    const batches = trainingBatches(rows, { tokensPerBatch: 4_096, rowsPerBatch: 32, seed: 0, epoch: 0 });
    const padded = batches.reduce(
      (sum, batch) => sum + batch.length * Math.max(...batch.map((row) => rows[row]!)),
      0,
    );
    const real = rows.reduce((sum, length) => sum + length, 0);
    expect(padded / real).toBeLessThan(1.1);
  });
});
