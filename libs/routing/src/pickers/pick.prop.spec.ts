import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { pick, pickSeed, type Picker } from './pick.js';

const SEED = 20_241_104;
const totals = fc
  .array(fc.double({ min: 0, max: 3, noNaN: true }), { minLength: 1, maxLength: 8 })
  .map((list) => list.sort((a, b) => a - b));
const pool = fc.record({
  size: fc.integer({ min: 1, max: 10 }),
  within: fc.double({ min: 0, max: 3, noNaN: true }),
});
const picker: fc.Arbitrary<Exclude<Picker, { kind: 'own' }>> = fc.oneof(
  fc.constant({ kind: 'argmin' } as const),
  fc.record({
    kind: fc.constant('epsilon' as const),
    epsilon: fc.double({ min: 0, max: 1, noNaN: true }),
    pool,
  }),
  fc.record({
    kind: fc.constant('softmax' as const),
    temperature: fc.double({ min: 0.01, max: 5, noNaN: true }),
    pool,
  }),
);

describe('pick', () => {
  it('states probabilities that sum to 1, are none outside of the pool, and allow what it picked', () => {
    fc.assert(
      fc.property(totals, picker, fc.nat(), (list, by, seed) => {
        const { index, propensities } = pick(list, by, seed);
        expect(propensities.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 9);
        expect(propensities[index]).toBeGreaterThan(0);
        propensities.forEach((share, at) => {
          const outside =
            at > 0 && (by.kind === 'argmin' || at >= by.pool.size || list[at]! - list[0]! > by.pool.within);
          if (outside) expect(share).toBe(0);
          if (at > 0) expect(share).toBeLessThanOrEqual(propensities[at - 1]! + 1e-12);
        });
        expect(pick(list, by, seed)).toEqual({ index, propensities });
      }),
      { seed: SEED, numRuns: 300 },
    );
  });

  const wide = { size: 3, within: 1 };
  it.each([
    ['epsilon', { kind: 'epsilon', epsilon: 0.3, pool: wide }, [0.8, 0.1, 0.1, 0]],
    ['softmax', { kind: 'softmax', temperature: Math.LOG2E, pool: wide }, undefined],
  ] as const)('picks as often as it states, over requests: %s', (_name, by, stated) => {
    const list = [1, 1.5, 2, 2];
    const counts = [0, 0, 0, 0];
    const rounds = 20_000;
    for (let round = 0; round < rounds; round++)
      counts[pick(list, by, pickSeed(`request-${round}`)).index]!++;
    const { propensities } = pick(list, by, 0);
    stated?.forEach((share, at) => expect(propensities[at]).toBeCloseTo(share, 12));
    // By hand: exp(-0.5 ln 2) to exp(-ln 2).
    if (!stated) expect(propensities[2]! / propensities[0]!).toBeCloseTo(0.5, 12);
    counts.forEach((count, at) => {
      const share = propensities[at]!;
      const spread = Math.sqrt((share * (1 - share)) / rounds);
      expect(Math.abs(count / rounds - share)).toBeLessThanOrEqual(4 * spread);
    });
  });

  it('lets the mean of what was seen be found from logged choices', () => {
    const list = [1, 1.1, 1.2];
    const truth = [0.2, 0.5, 0.9];
    const estimates = [0, 0, 0];
    const rounds = 20_000;
    for (let round = 0; round < rounds; round++) {
      const { index, propensities } = pick(
        list,
        { kind: 'epsilon', epsilon: 0.3, pool: { size: 3, within: 1 } },
        pickSeed(`r${round}`),
      );
      estimates[index]! += truth[index]! / propensities[index]! / rounds;
    }
    estimates.forEach((estimate, at) => expect(Math.abs(estimate - truth[at]!)).toBeLessThan(0.1));
  });

  it.each([
    ['nobody', [], { kind: 'argmin' }],
    ['a probability above 1', [1], { kind: 'epsilon', epsilon: 1.5, pool: wide }],
    ['no temperature', [1], { kind: 'softmax', temperature: 0, pool: wide }],
    ['an empty pool', [1], { kind: 'epsilon', epsilon: 0.1, pool: { size: 0, within: 1 } }],
  ] as const)('refuses %s', (_name, list, by) => {
    expect(() => pick(list, by, 1)).toThrow(expect.objectContaining({ code: 'REQUEST_INVALID' }));
  });
});
