import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { planResidency, type ResidencyQuestion, type ResidentEntry } from './residency.js';

const RUNS = { numRuns: 500, seed: 20261129 };
const BASES = new Map([
  ['b0', 100],
  ['b1', 300],
]);

const entries = fc
  .array(
    fc.record({
      bytes: fc.integer({ min: 0, max: 200 }),
      base: fc.constantFrom(undefined, 'b0', 'b1'),
      isPinned: fc.boolean(),
      priority: fc.integer({ min: -2, max: 2 }),
      lastUsedAt: fc.integer({ min: 0, max: 20 }),
      inFlight: fc.constantFrom(0, 0, 0, 1),
    }),
    { maxLength: 12 },
  )
  .map((list) => list.map((entry, index): ResidentEntry => ({ key: `e${index}`, ...entry })));

/** Bytes of entries and of the bases that they stand on, each base once. */
function total(list: readonly ResidentEntry[], kept?: string): number {
  const bases = new Set([kept, ...list.map(({ base }) => base)]);
  const shared = [...bases].reduce((sum, base) => sum + (BASES.get(base ?? '') ?? 0), 0);
  return shared + list.reduce((sum, { bytes }) => sum + bytes, 0);
}

const questions = fc
  .record({
    entries,
    leavingBytes: fc.constantFrom(0, 0, 50),
    neededBytes: fc.integer({ min: 1, max: 600 }),
    keptBase: fc.constantFrom(undefined, 'b0', 'b1'),
    limitBytes: fc.integer({ min: 0, max: 2_000 }),
  })
  .map((given): ResidencyQuestion => ({
    ...given,
    bases: BASES,
    usedBytes: total(given.entries, given.keptBase) + given.leavingBytes,
  }));

/** Bytes in use once some have gone, with what is needed. */
function after(question: ResidencyQuestion, victims: readonly string[]): number {
  const left = question.entries.filter(({ key }) => !victims.includes(key));
  return total(left, question.keptBase) + question.neededBytes;
}

describe('what is let go to make room', () => {
  it('suffices, and nothing of it is superfluous', () => {
    fc.assert(
      fc.property(questions, (question) => {
        const plan = planResidency(question);
        if (plan.kind !== 'evict') return;
        expect(after(question, plan.victims)).toBeLessThanOrEqual(question.limitBytes);
        for (const kept of plan.victims)
          expect(
            after(
              question,
              plan.victims.filter((key) => key !== kept),
            ),
          ).toBeGreaterThan(question.limitBytes);
      }),
      RUNS,
    );
  });

  it('is never pinned, and in flight only where idle ones do not suffice', () => {
    fc.assert(
      fc.property(questions, (question) => {
        const plan = planResidency(question);
        if (plan.kind !== 'evict') return;
        const victims = question.entries.filter(({ key }) => plan.victims.includes(key));
        expect(victims.some(({ isPinned }) => isPinned)).toBe(false);
        if (!victims.some(({ inFlight }) => inFlight > 0)) return;
        const idle = question.entries.filter(({ isPinned, inFlight }) => !isPinned && inFlight === 0);
        expect(
          after(
            question,
            idle.map(({ key }) => key),
          ),
        ).toBeGreaterThan(question.limitBytes);
      }),
      RUNS,
    );
  });

  it('is nothing when it fits or when what leaves already will do, and impossible only when all that may go is too little', () => {
    fc.assert(
      fc.property(questions, (question) => {
        const { limitBytes, usedBytes, neededBytes, leavingBytes } = question;
        const plan = planResidency(question);
        expect(plan.kind === 'fits').toBe(usedBytes + neededBytes <= limitBytes);
        const loose = question.entries.filter(({ isPinned }) => !isPinned).map(({ key }) => key);
        const least = after(question, loose);
        expect(plan.kind === 'impossible').toBe(least > limitBytes);
        if (plan.kind === 'impossible') expect(plan.heldBytes).toBe(least - neededBytes);
        if (plan.kind === 'wait')
          expect(usedBytes + neededBytes - leavingBytes).toBeLessThanOrEqual(limitBytes);
      }),
      RUNS,
    );
  });

  it('goes by priority, then by the time of the last use, among equals in size', () => {
    fc.assert(
      fc.property(entries, fc.integer({ min: 1, max: 5 }), (list, count) => {
        const equal = list.map((entry) => ({
          ...entry,
          bytes: 10,
          base: undefined,
          inFlight: 0,
          isPinned: false,
        }));
        const usedBytes = 10 * equal.length;
        const plan = planResidency({
          entries: equal,
          bases: BASES,
          limitBytes: usedBytes,
          usedBytes,
          leavingBytes: 0,
          neededBytes: 10 * count,
        });
        expect(plan.kind).toBe(count > equal.length ? 'impossible' : 'evict');
        if (plan.kind !== 'evict') return;
        const order = [...equal].sort((a, b) => a.priority - b.priority || a.lastUsedAt - b.lastUsedAt);
        expect(plan.victims).toHaveLength(count);
        const rank = ({ priority, lastUsedAt }: ResidentEntry) => [priority, lastUsedAt];
        const chosen = equal.filter(({ key }) => plan.victims.includes(key));
        const sorted = chosen.sort((a, b) => a.priority - b.priority || a.lastUsedAt - b.lastUsedAt);
        expect(sorted.map(rank)).toEqual(order.slice(0, count).map(rank));
      }),
      RUNS,
    );
  });

  it('is what was used least of late, whenever that was, and by the last use only among equals', () => {
    const entry = { bytes: 10, base: undefined, isPinned: false, priority: 0, inFlight: 0 };
    const entriesByWorth = [
      { ...entry, key: 'often, long ago', worth: 9, lastUsedAt: 1 },
      { ...entry, key: 'once, just now', worth: 3, lastUsedAt: 5 },
      { ...entry, key: 'once, before', worth: 3, lastUsedAt: 4 },
    ];
    const victims = (count: number) =>
      planResidency({
        entries: entriesByWorth,
        bases: BASES,
        limitBytes: 30,
        usedBytes: 30,
        leavingBytes: 0,
        neededBytes: 10 * count,
      });
    expect(victims(1)).toEqual({ kind: 'evict', victims: ['once, before'] });
    expect(victims(2)).toEqual({ kind: 'evict', victims: ['once, before', 'once, just now'] });
  });

  it('spares a base and what stands on it as long as one of them was used after what stands alone', () => {
    const entry = { isPinned: false, priority: 0, inFlight: 0 };
    const plan = planResidency({
      limitBytes: 600,
      usedBytes: 600,
      leavingBytes: 0,
      neededBytes: 150,
      bases: BASES,
      entries: [
        { ...entry, key: 'adapter', bytes: 10, base: 'b1', lastUsedAt: 1 },
        { ...entry, key: 'embedding', bytes: 0, base: 'b1', lastUsedAt: 3 },
        { ...entry, key: 'alone', bytes: 290, base: undefined, lastUsedAt: 2 },
      ],
    });
    expect(plan).toEqual({ kind: 'evict', victims: ['alone'] });
  });
});
