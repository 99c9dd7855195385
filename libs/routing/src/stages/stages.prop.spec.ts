import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { intervalAround } from '../calibrated-losses.js';
import { regionOfStage, rowsForSecond, stageVerdict, withSecondLosses, type StageGate } from './stages.js';

const REGIONS = 3;
const number = fc.double({ min: -2, max: 2, noNaN: true });
/** Losses of prompts with a gate over as many candidates. */
const prompts = fc.integer({ min: 1, max: 5 }).chain((candidates) =>
  fc.record({
    candidates: fc.constant(candidates),
    rows: fc.array(
      fc.record({
        first: fc.array(number, { minLength: candidates, maxLength: candidates }),
        second: fc.array(number, { minLength: candidates, maxLength: candidates }),
        region: fc.nat(REGIONS - 1),
      }),
      { minLength: 1, maxLength: 6 },
    ),
    gate: fc.record({
      threshold: fc.double({ min: 0, max: 4, noNaN: true }),
      margin: fc.double({ min: 0, max: 0.5, noNaN: true }),
      regions: fc.constant(REGIONS),
      intervals: fc.array(
        fc.record({
          lower: fc.double({ min: -1, max: 0, noNaN: true }),
          upper: fc.double({ min: 0, max: 1, noNaN: true }),
          scales: fc.option(
            fc.array(fc.double({ min: 0.1, max: 2, noNaN: true }), {
              minLength: REGIONS,
              maxLength: REGIONS,
            }),
            { nil: undefined },
          ),
        }),
        { minLength: candidates, maxLength: candidates },
      ),
    }),
  }),
);

/** Whether the interval of the best leaves nobody who may be better by more than the margin. */
function excludesAll(losses: readonly number[], region: number, gate: StageGate): boolean {
  const best = losses.indexOf(Math.min(...losses));
  const high = (k: number) => intervalAround(losses[k]!, region, gate.intervals[k]).high;
  const low = (k: number) => intervalAround(losses[k]!, region, gate.intervals[k]).low;
  return losses.every((_, k) => k === best || high(best) - low(k) <= gate.margin);
}

describe('stages', () => {
  it('never ask for the second where the interval of the best excludes all others, whatever the threshold', () => {
    fc.assert(
      fc.property(prompts, ({ rows, gate }) => {
        for (const { first, region } of rows) {
          const verdict = stageVerdict(first, region, { ...gate, threshold: Number.MAX_VALUE });
          expect(verdict.needsSecond).toBe(!excludesAll(first, region, gate));
          if (excludesAll(first, region, gate))
            expect(stageVerdict(first, region, gate).needsSecond).toBe(false);
        }
      }),
    );
  });

  it('ask for it only below the threshold, and the more the larger it is', () => {
    fc.assert(
      fc.property(prompts, fc.double({ min: 0, max: 2, noNaN: true }), ({ rows, gate, candidates }, more) => {
        const losses = rows.flatMap(({ first }) => first);
        const regions = rows.map(({ region }) => region);
        const asked = rowsForSecond(losses, candidates, regions, gate);
        const larger = rowsForSecond(losses, candidates, regions, {
          ...gate,
          threshold: gate.threshold + more,
        });
        for (const row of asked) {
          const { best, rival, gap } = stageVerdict(rows[row]!.first, regions[row]!, gate);
          expect(gap).toBe(rows[row]!.first[rival]! - rows[row]!.first[best]!);
          expect(gap).toBeGreaterThanOrEqual(0);
          expect(gap).toBeLessThan(gate.threshold);
          expect(larger).toContain(row);
        }
      }),
    );
  });

  it('predict as the first with a threshold of 0 and as the second with an infinite one, to the bit', () => {
    fc.assert(
      fc.property(prompts, ({ rows, gate, candidates }) => {
        const first = Float32Array.from(rows.flatMap((row) => row.first));
        const second = Float32Array.from(rows.flatMap((row) => row.second));
        const regions = rows.map(({ region }) => region);
        const mixed = (threshold: number) => {
          const asked = rowsForSecond(first, candidates, regions, { ...gate, threshold });
          const answers = asked.flatMap((row) => [
            ...second.subarray(row * candidates, (row + 1) * candidates),
          ]);
          return withSecondLosses(first, asked, answers);
        };
        expect(mixed(0)).toEqual(first);
        expect(mixed(Infinity)).toEqual(second);
        const between = mixed(gate.threshold);
        rows.forEach((row, at) => {
          const { needsSecond } = stageVerdict(
            first.subarray(at * candidates, (at + 1) * candidates),
            row.region,
            gate,
          );
          expect(between.subarray(at * candidates, (at + 1) * candidates)).toEqual(
            (needsSecond ? second : first).subarray(at * candidates, (at + 1) * candidates),
          );
        });
      }),
    );
  });

  it('keep regions of the second stage apart from those of the first', () => {
    const seen = [false, true].flatMap((isSecond) =>
      [0, 1, 2].map((region) => regionOfStage(region, isSecond, { regions: REGIONS })),
    );
    expect(seen).toEqual([0, 1, 2, 3, 4, 5]);
  });

  it('pass over losses that are no numbers, and one candidate alone needs no second look', () => {
    const gate: StageGate = { threshold: 1, margin: 0, intervals: [], regions: 1 };
    expect(
      stageVerdict([NaN, 0.25, 0.5], 0, {
        ...gate,
        intervals: [
          { lower: -1, upper: 1 },
          { lower: -1, upper: 1 },
          { lower: -1, upper: 1 },
        ],
      }),
    ).toEqual({ needsSecond: true, best: 1, rival: 2, gap: 0.25 });
    expect(stageVerdict([NaN], 0, gate)).toEqual({ needsSecond: false, best: -1, rival: -1, gap: Infinity });
    expect(stageVerdict([0.3], 0, gate)).toEqual({ needsSecond: false, best: 0, rival: -1, gap: Infinity });
    expect(stageVerdict([0.3], 0, { ...gate, threshold: Infinity }).needsSecond).toBe(true);
  });
});
