import { describe, expect, it } from 'vitest';
import { CorrectionBook } from './correction-book.js';

const SETTINGS = {
  correction: { priorWeight: 20, bound: 0.25, halfLifeMs: 86_400_000, memory: 1e9 },
  drift: { tolerance: 0.05, runLength: 20_000 },
};
const make = () => new CorrectionBook(SETTINGS, () => 'error', new Map());

describe('the positions of a correction book', () => {
  it('know what was folded in although the clocks of publishers differ', () => {
    const book = make();
    book.passed(0, 5n, 1_000);
    book.passed(0, 6n, 990);
    expect(book.hasFolded(0, 5n, 1_000)).toBe(true);
    expect(book.hasFolded(0, 6n, 990)).toBe(true);
    expect(book.hasFolded(0, 7n, 1_001)).toBe(false);
  });

  it('begin anew with a topic that was made anew', () => {
    const book = make();
    book.passed(0, 5n, 1_000);
    expect(book.hasFolded(0, 0n, 2_000)).toBe(false);
    book.passed(0, 0n, 2_000);
    expect(book.hasFolded(0, 0n, 2_000)).toBe(true);
    expect(book.hasFolded(0, 1n, 1_990)).toBe(false);
  });
});
