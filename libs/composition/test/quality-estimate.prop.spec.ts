import { createRandom } from '@thalamus/tensor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { pairedDifference, qualityEstimate, taskEstimate, wilson, type ProbedRow } from '../src/index.js';

const RUNS = { seed: 20261129, numRuns: 200 };
const anyRow = fc.record({ alone: fc.boolean(), composed: fc.boolean(), routed: fc.boolean() });
const anyRows = fc.array(anyRow, { minLength: 1, maxLength: 60 });

/** Rows that are right by chance; an answer that is right alone is often right composed. */
function drawnRows(random: ReturnType<typeof createRandom>, count: number): ProbedRow[] {
  return Array.from({ length: count }, () => {
    const alone = random.next() < 0.85;
    return { alone, composed: random.next() < (alone ? 0.93 : 0.1), routed: true };
  });
}
const TRUE_LOSS = 0.85 - (0.85 * 0.93 + 0.15 * 0.1);

describe('estimates of quality', () => {
  it('hold the interval of Wilson as it is tabulated', () => {
    // Newcombe 1998, Two-sided confidence intervals for the single proportion, table I, method 3.
    const { low, high } = wilson(81, 263);
    expect(low).toBeCloseTo(0.2553, 4);
    expect(high).toBeCloseTo(0.3662, 4);
    expect(wilson(0, 20).low).toBe(0);
    expect(wilson(0, 20).high).toBeCloseTo(0.1611, 4);
  });

  it('have intervals around what was counted, within 0 and 1, the same from either side', () => {
    fc.assert(
      fc.property(anyRows, (rows) => {
        const task = taskEstimate('a', 'test', rows);
        expect(task.composedLow).toBeLessThanOrEqual(task.composed + 1e-12);
        expect(task.composedHigh).toBeGreaterThanOrEqual(task.composed - 1e-12);
        expect(task.composedLow).toBeGreaterThanOrEqual(0);
        expect(task.composedHigh).toBeLessThanOrEqual(1);
        const count = (read: (row: ProbedRow) => boolean) => rows.filter(read).length;
        const [first, second] = [count(({ alone }) => alone), count(({ composed }) => composed)];
        const both = count(({ alone, composed }) => alone && composed);
        const n = rows.length;
        const there = pairedDifference({ n, first, second, both });
        const back = pairedDifference({ n, first: second, second: first, both });
        expect(back.low).toBeCloseTo(-there.high, 12);
        expect(back.high).toBeCloseTo(-there.low, 12);
      }),
      RUNS,
    );
  });

  it('cover what is true of all rows about as often as they say', () => {
    const random = createRandom(3);
    let covered = 0;
    for (let draw = 0; draw < 2_000; draw++) {
      const { alone, composedLow, composedHigh } = taskEstimate('a', 'test', drawnRows(random, 40));
      if (alone - composedHigh <= TRUE_LOSS && TRUE_LOSS <= alone - composedLow) covered += 1;
    }
    expect(covered / 2_000).toBeGreaterThan(0.93);
    expect(covered / 2_000).toBeLessThan(0.99);
  });

  it('narrow with rows and with tasks, and leave out who is never right', () => {
    const random = createRandom(5);
    const many = (tasks: number, rows: number) =>
      qualityEstimate(
        Array.from({ length: tasks }, (_, at) => taskEstimate(`t${at}`, 'test', drawnRows(random, rows))),
        { basis: 'parents', note: '' },
      );
    const width = ({ normalizedLow, normalizedHigh }: ReturnType<typeof many>) =>
      normalizedHigh - normalizedLow;
    expect(width(many(1, 400))).toBeLessThan(width(many(1, 40)));
    expect(width(many(9, 40))).toBeLessThan(width(many(1, 40)));
    const never = taskEstimate('never', 'test', [{ alone: false, composed: true, routed: true }]);
    const one = taskEstimate('one', 'test', drawnRows(random, 40));
    const how = { basis: 'parents', note: '' } as const;
    expect(qualityEstimate([one, never], how).normalized).toBe(qualityEstimate([one], how).normalized);
  });
});
