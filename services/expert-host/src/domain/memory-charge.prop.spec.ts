import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { charged, MemoryExpectations } from './memory-charge.js';
import { planResidency, type ResidentEntry } from './residency.js';

const RUNS = { numRuns: 300, seed: 20261129 };
const MIB = 2 ** 20;
const sizes = fc.integer({ min: 0, max: 1_000 });

describe('the charge of a process', () => {
  it('is never less than what was measured, nor than its weights, nor more than the most that was ever either', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(sizes, sizes), { minLength: 1 }), (measurements) => {
        let charge: number | undefined;
        let most = 0;
        for (const [measured, floor] of measurements) {
          charge = charged(charge, measured, floor);
          most = Math.max(most, measured, floor);
          expect(charge).toBeGreaterThanOrEqual(Math.max(measured, floor));
          expect(charge).toBeLessThanOrEqual(most);
          // Records of a host carry it as a whole number of bytes.
          expect(Number.isInteger(charge)).toBe(true);
        }
      }),
      RUNS,
    );
  });

  it('comes to what a process keeps having, and follows no dip of one measurement', () => {
    fc.assert(
      fc.property(sizes, sizes, (before, steady) => {
        let charge = before;
        for (let round = 0; round < 40; round++) charge = charged(charge, steady, 0);
        expect(Math.abs(charge - steady)).toBeLessThanOrEqual(before * 0.75 ** 40 + 1e-9);
      }),
      RUNS,
    );
    expect(charged(100, 0, 0)).toBe(75);
    expect(charged(charged(100, 0, 0), 100, 0)).toBe(100);
  });
});

describe('what a model is expected to need', () => {
  it('is what it had when it was here; for another one its weights and what others needed besides', () => {
    const expectations = new MemoryExpectations();
    expect(expectations.expect('a@1', 30 * MIB)).toEqual({ likely: 94 * MIB, least: 94 * MIB });
    expectations.loaded('a@1', 30 * MIB, 150 * MIB);
    expect(expectations.expect('a@1', 30 * MIB)).toEqual({ likely: 150 * MIB, least: 150 * MIB });
    expect(expectations.expect('b@1', 10 * MIB)).toEqual({ likely: 130 * MIB, least: 74 * MIB });
    expectations.loaded('c@1', 10 * MIB, 50 * MIB);
    expect(expectations.expect('b@1', 10 * MIB)).toEqual({ likely: 110 * MIB, least: 50 * MIB });
  });
});

/** Models in processes that need more than was expected, come and go, and grow and shrink, under one limit. */
describe('a host that loads by expectation and counts by measurement', () => {
  const model = fc.record({
    weights: fc.integer({ min: 1, max: 60 }),
    over: fc.integer({ min: 10, max: 90 }),
  });
  const step = fc.oneof(
    fc.record({ kind: fc.constant('ask' as const), index: fc.nat(7) }),
    fc.record({
      kind: fc.constant('grow' as const),
      index: fc.nat(7),
      by: fc.integer({ min: -20, max: 20 }),
    }),
  );

  it('passes its limit by no more than the last load was misjudged and by what processes grew since they were measured', () => {
    fc.assert(
      fc.property(
        fc.array(model, { minLength: 8, maxLength: 8 }),
        fc.array(step, { maxLength: 60 }),
        fc.integer({ min: 150, max: 400 }),
        (models, steps, limitMib) => {
          const limit = limitMib * MIB;
          const expectations = new MemoryExpectations();
          const actual = new Map<number, number>();
          const charges = new Map<number, number>();
          const weightsOf = (index: number) => models[index]!.weights * MIB;
          const used = () => [...charges.values()].reduce((sum, bytes) => sum + bytes, 0);
          const has = () => [...actual.values()].reduce((sum, bytes) => sum + bytes, 0);
          const entries = (): ResidentEntry[] =>
            [...charges].map(([index, bytes], at) => ({
              ...{ key: String(index), bytes, base: undefined, isPinned: false, priority: 0 },
              ...{ lastUsedAt: at, inFlight: 0 },
            }));
          const plan = (neededBytes: number) =>
            planResidency({
              ...{ limitBytes: limit, usedBytes: used(), leavingBytes: 0, neededBytes },
              ...{ entries: entries(), bases: new Map() },
            });
          const letGo = (victims: readonly string[]) => {
            for (const key of victims) {
              actual.delete(Number(key));
              charges.delete(Number(key));
            }
          };
          const measure = () => {
            for (const [index, bytes] of actual)
              charges.set(index, charged(charges.get(index), bytes, weightsOf(index)));
          };
          for (const action of steps) {
            let misjudged = 0;
            let grown = 0;
            if (action.kind === 'grow') {
              const before = actual.get(action.index);
              if (before === undefined) continue;
              actual.set(action.index, Math.max(weightsOf(action.index), before + action.by * MIB));
              grown = Math.max(0, action.by * MIB);
            } else if (!actual.has(action.index)) {
              const { likely } = expectations.expect(`m${action.index}`, weightsOf(action.index));
              const room = plan(likely);
              if (room.kind === 'impossible') continue;
              if (room.kind === 'evict') letGo(room.victims);
              const needed = weightsOf(action.index) + models[action.index]!.over * MIB;
              actual.set(action.index, needed);
              expectations.loaded(`m${action.index}`, weightsOf(action.index), needed);
              misjudged = Math.max(0, needed - likely);
            }
            expect(has()).toBeLessThanOrEqual(limit + misjudged + grown);
            measure();
            const trim = plan(0);
            if (trim.kind === 'evict') letGo(trim.victims);
            expect(used()).toBeLessThanOrEqual(limit);
            expect(has()).toBeLessThanOrEqual(used());
          }
        },
      ),
      RUNS,
    );
  });
});
