import { predictLosses } from '@thalamus/routing';
import { createRandom } from '@thalamus/tensor';
import { describe, expect, it } from 'vitest';
import { chooseMargin, withMargin } from './choose-margin.js';
import type { FittedStage } from './fit-stage.js';

/** Rows of two versions: the first errs with `old`, the second with `new`; `said` is the difference that is predicted. */
function rows(
  seed: number,
  ...kinds: readonly {
    readonly n: number;
    readonly old: number;
    readonly new: number;
    readonly said: number;
  }[]
) {
  const random = createRandom(seed);
  const losses: number[] = [];
  const predicted: number[] = [];
  for (const { n, said, ...err } of kinds)
    for (let at = 0; at < n; at++) {
      losses.push(Number(random.next() < err.old), Number(random.next() < err.new));
      predicted.push(0.5, 0.5 + said + 0.02 * random.normal());
    }
  return [Float64Array.from(predicted), Float64Array.from(losses), 2, 1] as const;
}

describe('the margin', () => {
  it('lets the prompts leave that the other is better at, and no others', () => {
    const { chosen, why } = chooseMargin(
      ...rows(3, { n: 300, old: 0.1, new: 0.6, said: 0.45 }, { n: 300, old: 0.5, new: 0.3, said: 0.1 }),
    );
    expect(chosen.share).toBeCloseTo(0.5, 1);
    expect(chosen.margin).toBeGreaterThanOrEqual(0.2);
    expect(why).toMatch(/sends (49|50)\.\d % away/);
  });

  it('lets none leave where a difference is predicted and not there, but for once in forty by chance', () => {
    const tables = Array.from({ length: 200 }, (_, seed) =>
      chooseMargin(...rows(seed, { n: 300, old: 0.4, new: 0.4, said: 0.1 })),
    );
    const left = tables.filter(({ chosen }) => chosen.share > 0);
    expect(left.length).toBeLessThanOrEqual(10);
    const { why, tried } = tables.find(({ chosen }) => chosen.share === 0)!;
    expect(why).toMatch(/^No prompt leaves/);
    expect(tried[0]!.share).toBe(1);
  });

  it('is the largest within one standard error of the least loss', () => {
    const { chosen, tried } = chooseMargin(
      ...rows(3, { n: 200, old: 0.2, new: 0.7, said: 0.35 }, { n: 40, old: 0.4, new: 0.45, said: 0.12 }),
    );
    const within = tried.filter(({ behind, behindError }) => behind <= behindError);
    expect(chosen.margin).toBe(Math.max(...within.map(({ margin }) => margin)));
    expect(tried.map(({ share }) => share)).toEqual(tried.map(({ share }) => share).sort((a, b) => b - a));
  });

  it('goes into heads and predictions of the other, and leaves those of the preferred one alone', () => {
    const [predicted, losses] = rows(3, { n: 300, old: 0.1, new: 0.6, said: 0.45 });
    const heads = {
      kind: 'linear' as const,
      dimension: 2,
      weights: Float32Array.of(1, 2, 3, 4),
      bias: Float32Array.of(0.25, 0.5),
    };
    const stage = { heads, predicted, judged: { losses, candidates: 2 } } as unknown as FittedStage;
    const choice = chooseMargin(predicted, losses, 2, 1);
    const { margin } = choice.chosen;
    expect(margin).toBeGreaterThan(0);
    const moved = withMargin(stage, choice);
    const asked = Float32Array.of(1, 1);
    const [old, own] = predictLosses(heads, asked);
    const [oldMoved, ownMoved] = predictLosses(moved.heads, asked);
    expect(oldMoved! - old!).toBeCloseTo(margin, 6);
    expect(ownMoved).toBe(own);
    expect(moved.predicted[0]! - predicted[0]!).toBeCloseTo(margin, 12);
    expect(moved.predicted[1]).toBe(predicted[1]);
    expect(withMargin(stage, undefined)).toBe(stage);
  });
});
