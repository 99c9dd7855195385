import { createRandom } from '@thalamus/tensor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { judgeReroute, rerouteFigures, type ReroutedItem } from './judge-reroute.js';

const items = fc.array(
  fc.record({
    slices: fc.subarray(['a', 'b', 'c']),
    group: fc.integer({ min: 0, max: 9 }).map(String),
    isOldRight: fc.boolean(),
    isNewRight: fc.boolean(),
    isSentBack: fc.boolean(),
  }),
  { minLength: 1, maxLength: 40 },
);
const few = { numRuns: 30 };

/** `count` prompts of each kind, in which old and new are right as often as said, and the share that is sent back. */
function kinds(
  ...all: readonly {
    readonly count: number;
    readonly old: number;
    readonly new: number;
    readonly back: number;
  }[]
): ReroutedItem[] {
  const random = createRandom(5);
  return all.flatMap(({ count, back, ...right }, kind) =>
    Array.from({ length: count }, (_, at) => ({
      slices: [`kind=${kind}`],
      group: `${kind}-${at}`,
      isOldRight: random.next() < right.old,
      isNewRight: random.next() < right.new,
      isSentBack: random.next() < back,
    })),
  );
}

describe('figures of a reroute', () => {
  it('add up: flips that are gone less gains given up are the change of accuracy, and nobody beats the oracle', () => {
    fc.assert(
      fc.property(items, (own) => {
        const { n, accuracy, before, after, accuracyChange, beyondOld } = rerouteFigures(own);
        const gone = before.nfr.count - after.nfr.count;
        const givenUp = before.pfr.count - after.pfr.count;
        expect(gone).toBeGreaterThanOrEqual(0);
        expect(givenUp).toBeGreaterThanOrEqual(0);
        expect(accuracy.routed.count - accuracy.new.count).toBe(gone - givenUp);
        expect(accuracyChange.mean).toBeCloseTo((gone - givenUp) / n, 12);
        expect(beyondOld.mean).toBeCloseTo((after.pfr.count - after.nfr.count) / n, 12);
        expect(accuracy.routed.count).toBeLessThanOrEqual(accuracy.oracle.count);
      }),
      few,
    );
  });

  it('are those of the new version when nothing is sent back, and of the old one when all is', () => {
    fc.assert(
      fc.property(items, (own) => {
        const kept = rerouteFigures(own.map((item) => ({ ...item, isSentBack: false })));
        expect(kept.after).toEqual(kept.before);
        expect(kept.accuracyChange).toEqual({ mean: 0, low: 0, high: 0 });
        const back = rerouteFigures(own.map((item) => ({ ...item, isSentBack: true })));
        expect([back.after.nfr.count, back.after.pfr.count]).toEqual([0, 0]);
        expect(back.beyondOld).toEqual({ mean: 0, low: 0, high: 0 });
      }),
      few,
    );
  });

  it('of slices are those of their items', () => {
    fc.assert(
      fc.property(items, (own) => {
        for (const { slice, ...figures } of judgeReroute(own).slices)
          expect(figures).toEqual(rerouteFigures(own.filter(({ slices }) => slices.includes(slice))));
      }),
      { numRuns: 10 },
    );
  });
});

describe('the verdict', () => {
  it('a kind that flipped and goes back is repaired, and better than the old version alone', () => {
    const { verdict, credit, cut, slices, reason } = judgeReroute(
      kinds({ count: 200, old: 0.9, new: 0.3, back: 0.95 }, { count: 200, old: 0.3, new: 0.9, back: 0.05 }),
    );
    expect([verdict, credit]).toEqual(['repaired', 'beyond-old']);
    expect(cut.low).toBeGreaterThan(0.6);
    expect(slices.map(({ slice }) => slice)).toEqual(['kind=0', 'kind=1']);
    expect(reason).toMatch(/beyond chance\. Better than the old version alone: \+/);
  });

  it('all sent back where the old version is better everywhere is repaired, and no better than to keep it', () => {
    const { verdict, credit, beyondChance } = judgeReroute(
      kinds({ count: 300, old: 0.9, new: 0.5, back: 1 }),
    );
    expect([verdict, credit, beyondChance.mean]).toEqual(['repaired', 'not-separated', 0]);
  });

  it('prompts sent back by chance take flips along, and are no repair', () => {
    const { verdict, cut } = judgeReroute(kinds({ count: 400, old: 0.7, new: 0.7, back: 0.5 }));
    expect(cut.low).toBeGreaterThan(0);
    expect(verdict).toBe('not-shown');
  });

  it('the wrong kind sent back is worse', () => {
    const { verdict, credit } = judgeReroute(
      kinds({ count: 200, old: 0.3, new: 0.9, back: 1 }, { count: 200, old: 0.9, new: 0.3, back: 0 }),
    );
    expect([verdict, credit]).toEqual(['worse', 'old-better']);
  });

  it('draws near-duplicates together: one prompt many times over shows nothing', () => {
    const one = kinds({ count: 200, old: 1, new: 0, back: 1 }, { count: 20, old: 0.5, new: 0.5, back: 0 });
    const { verdict } = judgeReroute(
      one.map((item) => ({ ...item, group: item.isSentBack ? 'same' : item.group })),
    );
    expect(verdict).toBe('not-shown');
  });
});
