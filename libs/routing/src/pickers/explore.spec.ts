import { describe, expect, it } from 'vitest';
import type { Candidate } from '../candidate.js';
import { decide, type DecisionResult } from '../decide.js';
import { FILTERS } from '../filters/filters.js';
import { explore } from './explore.js';

const candidate = (expert: string): Candidate => ({
  expert,
  version: '1',
  fittedVersion: '1',
  task: 'fill-mask',
  licence: 'MIT',
  trust: 1,
  parameterCount: 1,
  maxTokens: 10,
  tenants: [],
  healthy: undefined,
  properties: {},
});

const LOSSES = { a: 0.1, b: 0.15, c: 0.9 };
const decision = (outOfScope?: string, filters = FILTERS): DecisionResult =>
  decide({
    candidates: Object.keys(LOSSES).map(candidate),
    constraints: {
      task: 'fill-mask',
      tenant: '',
      contextTokens: 0,
      experts: [],
      limits: [],
      policy: undefined,
    },
    predictions: new Map(
      Object.entries(LOSSES).map(([name, loss]) => [name, { loss, raw: loss, low: loss, high: loss }]),
    ),
    weights: new Map(),
    scales: {},
    filters,
    ...(outOfScope === undefined ? {} : { outOfScope }),
  });
const names = ({ ranked }: DecisionResult) => ranked.map((item) => item.candidate.expert);
const picker = { kind: 'epsilon', epsilon: 0.5, pool: { size: 2, within: 0.1 } } as const;

describe('explore', () => {
  it('picks each of the pool as often as it says, nobody else, and keeps the order of the others', () => {
    const seen = { a: 0, b: 0, c: 0 };
    for (let seed = 0; seed < 4000; seed++) {
      const { decision: own, propensities } = explore(decision(), picker, seed);
      expect([...propensities]).toEqual([
        ['a', 0.75],
        ['b', 0.25],
        ['c', 0],
      ]);
      const first = names(own)[0] as keyof typeof seen;
      seen[first] += 1;
      expect(names(own)).toEqual(first === 'a' ? ['a', 'b', 'c'] : ['b', 'a', 'c']);
    }
    expect(seen.c).toBe(0);
    // Five standard errors of a share of one in four.
    expect(Math.abs(seen.b / 4000 - 0.25)).toBeLessThan(5 * Math.sqrt((0.25 * 0.75) / 4000));
  });

  it('says that it explored, and picks the same for a seed', () => {
    const seed = Array.from({ length: 100 }, (_, at) => at).find(
      (at) => names(explore(decision(), picker, at).decision)[0] === 'b',
    )!;
    expect(explore(decision(), picker, seed).decision.reason).toBe(
      'b is explored, as policy allows, with probability 0.250; its total is 0.050 above that of a, the least.',
    );
    expect(explore(decision(), picker, seed)).toEqual(explore(decision(), picker, seed));
  });

  it('explores nothing where the router abstains or nobody passed', () => {
    const all = { kind: 'epsilon', epsilon: 1, pool: { size: 3, within: 9 } } as const;
    for (let seed = 0; seed < 50; seed++) {
      const { decision: own, propensities } = explore(decision('out of scope'), all, seed);
      expect(names(own)).toEqual(['a', 'b', 'c']);
      expect(propensities.get('a')).toBe(1);
    }
    const nobody = { ...decision(), ranked: [] };
    expect(explore(nobody, all, 1)).toEqual({ decision: nobody, propensities: new Map() });
  });

  it('takes a picker of one’s own, and refuses one whose probabilities are none', () => {
    const last = {
      kind: 'own',
      propensities: (totals: readonly number[]) => totals.map((_, at) => (at === 2 ? 1 : 0)),
    } as const;
    expect(names(explore(decision(), last, 1).decision)).toEqual(['c', 'a', 'b']);
    for (const shares of [[1], [0.5, 0.2, 0.2], [2, -1, 0], [NaN, 0.5, 0.5]])
      expect(() => explore(decision(), { kind: 'own', propensities: () => shares }, 1)).toThrow(
        /do not fit 3 experts/,
      );
  });
});

it('decide asks filters of one’s own, in their order, and counts whom they reject', () => {
  const own = {
    name: 'vowels',
    describe: () => 'is no vowel',
    passes: ({ expert }: Candidate) => expert !== 'a',
  };
  const { ranked, rejections } = decision(undefined, [own, ...FILTERS]);
  expect(ranked.map((item) => item.candidate.expert)).toEqual(['b', 'c']);
  expect(rejections).toEqual([{ filter: 'vowels', count: 1, description: 'is no vowel' }]);
});
