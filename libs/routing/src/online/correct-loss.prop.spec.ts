import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  checkCorrectionSettings,
  correctionOf,
  decayTo,
  foldOutcome,
  isNegligible,
  type CorrectionSettings,
  type CorrectionState,
  type LossResidual,
} from './correct-loss.js';

const SEED = 20_241_105;
const HOUR_MS = 3_600_000;
const settings: fc.Arbitrary<CorrectionSettings> = fc.record({
  priorWeight: fc.double({ min: 0.5, max: 100, noNaN: true }),
  bound: fc.double({ min: 0.01, max: 2, noNaN: true }),
  halfLifeMs: fc.integer({ min: 1_000, max: 1_000 * HOUR_MS }),
  memory: fc.double({ min: 1, max: 10_000, noNaN: true }),
});
const outcome: fc.Arbitrary<LossResidual> = fc.record({
  residual: fc.double({ min: -5, max: 5, noNaN: true }),
  atMs: fc.integer({ min: 1_700_000_000_000, max: 1_700_000_000_000 + 100 * HOUR_MS }),
});
const outcomes = fc.array(outcome, { minLength: 1, maxLength: 60 });
const fold = (
  list: readonly LossResidual[],
  by: CorrectionSettings,
  from?: CorrectionState,
): CorrectionState | undefined =>
  list.reduce<CorrectionState | undefined>((state, one) => foldOutcome(state, one, by), from);

describe('a correction of predicted losses', () => {
  it('stays within its bound and nearer to 0 than the largest residual', () => {
    fc.assert(
      fc.property(outcomes, settings, (list, by) => {
        const correction = Math.abs(correctionOf(fold(list, by), by));
        expect(correction).toBeLessThanOrEqual(by.bound);
        expect(correction).toBeLessThanOrEqual(Math.max(...list.map(({ residual }) => Math.abs(residual))));
      }),
      { numRuns: 300, seed: SEED },
    );
  });

  it('only falls without outcomes, and ends at 0', () => {
    fc.assert(
      fc.property(outcomes, settings, fc.nat({ max: 100 * HOUR_MS }), (list, by, waitMs) => {
        const state = fold(list, by)!;
        const later = decayTo(state, state.atMs + waitMs, by);
        expect(Math.abs(correctionOf(later, by))).toBeLessThanOrEqual(
          Math.abs(correctionOf(state, by)) + 1e-12,
        );
        // No weight exceeds about the memory: so many half-lives leave less than one hundredth.
        const halvings = Math.log2((by.memory + 1) / 0.01) + 1;
        const end = decayTo(state, state.atMs + halvings * by.halfLifeMs, by);
        expect(isNegligible(end)).toBe(true);
        expect(correctionOf(end, by)).toBe(0);
      }),
      { numRuns: 300, seed: SEED },
    );
  });

  it('is the same to the bit whoever folded the beginning, and through a written state', () => {
    fc.assert(
      fc.property(outcomes, settings, fc.nat(), (list, by, at) => {
        const cut = at % (list.length + 1);
        const handedOver = fold(list.slice(0, cut), by);
        const read = handedOver && (JSON.parse(JSON.stringify(handedOver)) as CorrectionState);
        expect(fold(list.slice(cut), by, read)).toEqual(fold(list, by));
      }),
      { numRuns: 300, seed: SEED },
    );
  });

  it('does not depend on the order of outcomes but through the memory', () => {
    fc.assert(
      fc.property(outcomes, settings, (list, by) => {
        const lasting = { ...by, memory: 1e12 };
        const forward = fold(list, lasting)!;
        const backward = fold([...list].reverse(), lasting)!;
        expect(backward.weight).toBeCloseTo(forward.weight, 6);
        expect(correctionOf(backward, lasting)).toBeCloseTo(correctionOf(forward, lasting), 6);
        expect([backward.atMs, backward.sinceMs]).toEqual([forward.atMs, forward.sinceMs]);
      }),
      { numRuns: 200, seed: SEED },
    );
  });

  it('nears the mean residual with outcomes, by their number', () => {
    const by = { priorWeight: 20, bound: 1, halfLifeMs: HOUR_MS, memory: 1e9 };
    const same = (count: number) =>
      fold(
        Array.from({ length: count }, () => ({ residual: 0.4, atMs: 1 })),
        by,
      );
    expect(correctionOf(same(20), by)).toBeCloseTo(0.2, 6);
    expect(correctionOf(same(180), by)).toBeCloseTo(0.36, 6);
    expect(correctionOf(undefined, by)).toBe(0);
  });

  it('holds no more weight than its memory', () => {
    const by = { priorWeight: 20, bound: 1, halfLifeMs: HOUR_MS, memory: 50 };
    const state = fold(
      Array.from({ length: 2_000 }, () => ({ residual: 1, atMs: 1 })),
      by,
    )!;
    expect(state.weight).toBeGreaterThan(49);
    expect(state.weight).toBeLessThan(51);
  });

  it('takes no outcome that is no number', () => {
    const by = { priorWeight: 20, bound: 1, halfLifeMs: HOUR_MS, memory: 50 };
    const state = foldOutcome(undefined, { residual: 1, atMs: 5 }, by);
    expect(foldOutcome(state, { residual: NaN, atMs: 6 }, by)).toBe(state);
    expect(foldOutcome(state, { residual: 1, atMs: Infinity }, by)).toBe(state);
    expect(foldOutcome(undefined, { residual: Infinity, atMs: 6 }, by)).toBeUndefined();
  });

  it('refuses settings out of their range by name', () => {
    const by = { priorWeight: 20, bound: 1, halfLifeMs: HOUR_MS, memory: 50 };
    expect(() => {
      checkCorrectionSettings(by);
    }).not.toThrow();
    for (const [name, value] of Object.entries({ priorWeight: 0, bound: -1, halfLifeMs: NaN, memory: 0.5 }))
      expect(() => {
        checkCorrectionSettings({ ...by, [name]: value });
      }).toThrow(`${name} is ${value}`);
  });
});
