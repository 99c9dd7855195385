import { describe, expect, it } from 'vitest';
import { chosenLabels, judgeRepair, type HeldOutAnswers } from './judge-repair.js';

/** 200 rows of label 0, of which the old version has the first 180 right. */
const ROWS = 200;
const truth = new Array<number>(ROWS).fill(0);
/** Wrong on the rows from `from` to below `to`. */
const wrong = (...ranges: readonly (readonly [from: number, to: number])[]) =>
  truth.map((_, row) => (ranges.some(([from, to]) => row >= from && row < to) ? 1 : 0));
const old = wrong([180, 200]);
const judge = (more: Pick<HeldOutAnswers, 'new' | 'repaired' | 'continued'>) =>
  judgeRepair({ truth, old, ...more });

describe('judging a repair', () => {
  it('flips and the share of them that is gone, by hand', () => {
    // The new version breaks 40 rows, the repair 10 of these, the control 30; nothing else changes.
    const { before, after, continued, cut, accuracyChange, beyondControl, verdict, credit, reason } = judge({
      new: wrong([0, 40]),
      repaired: wrong([0, 10]),
      continued: wrong([0, 30]),
    });
    expect([before, after, continued!].map(({ negativeFlips }) => negativeFlips.count)).toEqual([40, 10, 30]);
    expect(before.positiveFlips.count).toBe(20);
    expect(cut.value).toBe(0.75);
    expect(accuracyChange.mean).toBe(0.15);
    expect(beyondControl!.mean).toBeCloseTo(0.1, 12);
    expect([verdict, credit]).toEqual(['repaired', 'beyond-control']);
    expect(reason).toMatch(/^10 of 200 held-out rows flip .* where 40 did/);
    expect(reason).toMatch(/leaves 30: the repair does more/);
  });

  it('a repair that the control equals gets no credit', () => {
    const same = wrong([0, 10]);
    const { verdict, credit, beyondControl } = judge({
      new: wrong([0, 40]),
      repaired: same,
      continued: same,
    });
    expect([verdict, credit]).toEqual(['repaired', 'not-separated']);
    expect(beyondControl).toEqual({ mean: 0, low: 0, high: 0 });
  });

  it('a control that leaves fewer flips is said to be better', () => {
    const { credit, reason } = judge({
      new: wrong([0, 40]),
      repaired: wrong([0, 30]),
      continued: wrong([0, 5]),
    });
    expect(credit).toBe('control-better');
    expect(reason).toMatch(/try --method continued/);
  });

  it('one row less is chance; nothing is claimed', () => {
    const { verdict, credit } = judge({
      new: wrong([0, 10]),
      repaired: wrong([1, 10]),
      continued: undefined,
    });
    expect([verdict, credit]).toEqual(['not-shown', 'no-control']);
  });

  it('more flips are worse, and so is less accuracy for fewer flips', () => {
    expect(judge({ new: wrong([0, 10]), repaired: wrong([0, 60]), continued: undefined }).verdict).toBe(
      'worse',
    );
    // Ten flips fewer, and every row that only the new version had right is lost: twenty.
    const traded = judge({ new: wrong([0, 10]), repaired: old, continued: undefined });
    expect(traded.after.negativeFlips.count).toBe(0);
    expect(traded.accuracyChange.mean).toBe(-0.05);
    const lost = judge({ new: wrong([0, 4]), repaired: wrong([180, 200]), continued: undefined });
    expect(lost.verdict).toBe('worse');
  });

  it('the label of each row is the most probable one', () => {
    expect(chosenLabels(Float64Array.of(-1, -0.5, -3, -0.1, -2, -4), 3)).toEqual([1, 0]);
  });
});
