import { createRandom } from '@thalamus/tensor';
import { describe, expect, it } from 'vitest';
import { fitCascade, judgeCascade, tryCascades, type AnsweredRow } from './fit-cascade.js';

/** A free service that knows when it errs, a dear one that is right nine times of ten. */
function measured(count: number, seed: number): AnsweredRow[] {
  const random = createRandom(seed);
  return Array.from({ length: count }, () => {
    const truth = random.below(4);
    const isEasy = random.next() < 0.6;
    const guess = random.below(4);
    const dear = random.next() < 0.9 ? truth : guess;
    return {
      truth,
      answers: [
        { label: isEasy ? truth : guess, confidence: (isEasy ? 0.5 : 0) + 0.5 * random.next() },
        { label: dear, confidence: 0.5 },
      ],
    };
  });
}

describe('fitCascade', () => {
  const prices = [0, 10];
  const rows = measured(1500, 1);
  const tried = tryCascades(rows, 4, prices);
  const fresh = measured(3000, 2);
  const mean = (values: ArrayLike<number>) =>
    Array.from(values).reduce((sum, value) => sum + value, 0) / values.length;

  it('beats the better service at half its price when the cheap one knows when it errs', () => {
    const { right, prices: paid } = judgeCascade(fitCascade(rows, 4, prices, tried, 5), fresh);
    const dear = mean(fresh.map(({ truth, answers }) => Number(answers[1]!.label === truth)));
    expect(mean(paid)).toBeLessThan(5.3);
    expect(mean(right)).toBeGreaterThan(dear + 0.02);
  });

  it('asks the free one alone for nothing', () => {
    const cascade = fitCascade(rows, 4, prices, tried, 0);
    expect(mean(judgeCascade(cascade, fresh).prices)).toBe(0);
  });

  it('expects on new rows what it sees there', () => {
    const { expected, ...cascade } = fitCascade(rows, 4, prices, tried, 5);
    expect(Math.abs(mean(judgeCascade(cascade, fresh).right) - expected.accuracy)).toBeLessThan(0.03);
  });

  it('refuses a budget below the cheapest service', () => {
    const dear = tryCascades(rows.slice(0, 200), 4, [1, 10]);
    expect(() => fitCascade(rows, 4, [1, 10], dear, 0.5)).toThrow('the cheapest service costs 1');
  });
});
