import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareChoices } from './compare-choices.js';
import type { RoutedPrompt } from './routed-prompt.js';

const EXPERTS = ['adder', 'atlas', 'poet'];
const LOSSES = [0, 0.25, 0.5, 1];
const OPTIONS = { tolerance: 0.1, seed: 7, resamples: 200 };

/** Prompts with the losses of three experts, and what two routers choose. */
const prompts = fc
  .array(
    fc.record({
      losses: fc.tuple(...EXPERTS.map(() => fc.constantFrom(...LOSSES))),
      before: fc.nat(2),
      after: fc.nat(2),
      domain: fc.constantFrom('law', 'sums'),
    }),
    { minLength: 1, maxLength: 40 },
  )
  .map((rows) =>
    rows.map(({ losses, before, after, domain }, at): RoutedPrompt => {
      const leastLoss = Math.min(...losses);
      return {
        id: `p${at}`,
        choiceBefore: EXPERTS[before]!,
        choiceAfter: EXPERTS[after]!,
        lossBefore: losses[before]!,
        lossAfter: losses[after]!,
        best: EXPERTS[losses.indexOf(leastLoss)]!,
        leastLoss,
        slices: [`domain=${domain}`, `expert=${EXPERTS[before]}`],
      };
    }),
  );

const swapped = (rows: readonly RoutedPrompt[]) =>
  rows.map((row) => ({
    ...row,
    choiceBefore: row.choiceAfter,
    choiceAfter: row.choiceBefore,
    lossBefore: row.lossAfter,
    lossAfter: row.lossBefore,
  }));

describe('choices of two router models', () => {
  it('lose what their regrets differ by, and slices of a kind make up the whole', () => {
    fc.assert(
      fc.property(prompts, (rows) => {
        const { overall, slices } = compareChoices(rows, OPTIONS);
        const { regretBefore, regretAfter, lossDifference, lossAfter, lossBefore } = overall;
        expect(regretAfter.mean - regretBefore.mean).toBeCloseTo(lossDifference.mean, 12);
        expect(lossAfter - lossBefore).toBeCloseTo(lossDifference.mean, 12);
        expect(lossDifference.low).toBeLessThanOrEqual(lossDifference.mean + 1e-12);
        expect(lossDifference.high).toBeGreaterThanOrEqual(lossDifference.mean - 1e-12);
        for (const kind of ['domain=', 'expert=']) {
          const own = slices.filter(({ slice }) => slice.startsWith(kind));
          expect(own.reduce((sum, { n }) => sum + n, 0)).toBe(rows.length);
          expect(own.reduce((sum, { changed }) => sum + changed.count, 0)).toBe(overall.changed.count);
          expect(own.reduce((sum, { worse }) => sum + worse.count, 0)).toBe(overall.worse.count);
        }
      }),
      { numRuns: 30 },
    );
  });

  it('turn around when the two change places', () => {
    fc.assert(
      fc.property(prompts, (rows) => {
        const [there, back] = [compareChoices(rows, OPTIONS), compareChoices(swapped(rows), OPTIONS)];
        expect(back.overall.changed).toEqual(there.overall.changed);
        expect(back.overall.worse).toEqual(there.overall.better);
        expect(back.flips.overall.negativeFlips).toEqual(there.flips.overall.positiveFlips);
        expect(back.flips.overall.newAccuracy).toEqual(there.flips.overall.oldAccuracy);
        expect(back.overall.lossDifference.mean).toBeCloseTo(-there.overall.lossDifference.mean, 12);
      }),
      { numRuns: 30 },
    );
  });

  it('of one router model with itself change nothing', () => {
    fc.assert(
      fc.property(prompts, (rows) => {
        const same = rows.map((row) => ({
          ...row,
          choiceAfter: row.choiceBefore,
          lossAfter: row.lossBefore,
        }));
        const { overall, flips } = compareChoices(same, OPTIONS);
        expect(overall.changed.count).toBe(0);
        expect(overall.lossDifference).toEqual({ mean: 0, low: 0, high: 0 });
        expect(flips.items).toEqual([]);
      }),
      { numRuns: 20 },
    );
  });
});
