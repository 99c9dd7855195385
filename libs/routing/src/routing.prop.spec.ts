import { ThalamusError } from '@thalamus/errors';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Candidate, RouteConstraints } from './candidate.js';
import { costOf } from './costs.js';
import { decide, type DecisionInput } from './decide.js';
import {
  FLAG_LEVELS,
  FLAG_NAMES,
  mergeFlags,
  parseFlags,
  parseModelName,
  printFlags,
  stripFlagTags,
  type Flag,
} from './flags.js';

const value = fc.double({ min: 0, max: 1e6, noNaN: true, noDefaultInfinity: true });
const flag: fc.Arbitrary<Flag> = fc.oneof(
  fc.record({ name: fc.constantFrom(...FLAG_NAMES), kind: fc.constant('weight' as const), value }),
  fc.record({
    name: fc.constantFrom(...FLAG_NAMES),
    kind: fc.constant('level' as const),
    level: fc.constantFrom(...FLAG_LEVELS),
  }),
  fc.record({ name: fc.constantFrom(...FLAG_NAMES), kind: fc.constant('atMost' as const), value }),
  fc.record({ name: fc.constantFrom(...FLAG_NAMES), kind: fc.constant('atLeast' as const), value }),
);
const flags = fc.array(flag, { maxLength: 6 }).map((list) => mergeFlags(list));

describe('flags', () => {
  it('parse(print(x)) = x', () => {
    fc.assert(
      fc.property(flags, (list) => {
        expect(parseFlags(printFlags(list))).toEqual(list);
      }),
    );
  });

  it('refuse unknown, repeated, malformed and negative ones', () => {
    for (const text of [
      'speed=1',
      'size=1,size=2',
      'size=1,size=low',
      'size',
      'size=-1',
      'size=NaN',
      'size=',
      'size=1,,cost=1',
      'size=1e999',
    ]) {
      expect(() => parseFlags(text), text).toThrow(ThalamusError);
    }
    expect(parseFlags('')).toEqual([]);
  });

  it('are taken off the ends of a prompt only', () => {
    expect(stripFlagTags('[flag: size=0.8, recency=0.2] Hello').prompt).toBe('Hello');
    expect(stripFlagTags('Hello [flags: cost=high]').flags).toEqual([
      { name: 'cost', kind: 'level', level: 'high' },
    ]);
    expect(stripFlagTags('[flag: small] Hi').flags).toEqual([{ name: 'size', kind: 'level', level: 'high' }]);
    const middle = 'Say [flag: size=1] twice';
    expect(stripFlagTags(middle)).toEqual({ prompt: middle, flags: [] });
    expect(() => stripFlagTags('[flag: size=1] x [flag: size=2]')).toThrow('twice');
  });

  it('come out of a model name, and earlier sources win', () => {
    expect(parseModelName('auto:size=0.5')).toEqual({
      model: 'auto',
      flags: [{ name: 'size', kind: 'weight', value: 0.5 }],
    });
    expect(parseModelName('banking77@1')).toEqual({ model: 'banking77@1', flags: [] });
    expect(mergeFlags(parseFlags('size=1'), parseFlags('size=2,cost=3'))).toEqual(
      parseFlags('size=1,cost=3'),
    );
  });
});

const candidates = fc.uniqueArray(
  fc.record({
    name: fc.stringMatching(/^[a-z]{1,4}$/),
    loss: fc.double({ min: 0, max: 6, noNaN: true }),
    size: fc.double({ min: 1, max: 1e9, noNaN: true }),
    trust: fc.double({ min: 0, max: 1, noNaN: true }),
  }),
  { minLength: 1, maxLength: 12, selector: (item) => item.name },
);
type Item = { name: string; loss: number; size: number; trust: number };
const constraints = (extra: Partial<RouteConstraints> = {}): RouteConstraints => ({
  task: 't',
  tenant: 'x',
  contextTokens: 0,
  experts: [],
  limits: [],
  policy: undefined,
  ...extra,
});
const input = (
  items: readonly Item[],
  weight: number,
  extra: Partial<RouteConstraints> = {},
): DecisionInput => ({
  candidates: items.map((item): Candidate => ({
    expert: item.name,
    version: '1',
    fittedVersion: '1',
    task: 't',
    licence: 'MIT',
    trust: item.trust,
    parameterCount: item.size,
    maxTokens: 256,
    tenants: [],
    healthy: true,
    properties: { size: item.size },
  })),
  constraints: constraints(extra),
  predictions: new Map(
    items.map((item) => [item.name, { loss: item.loss, low: item.loss, high: item.loss }]),
  ),
  weights: new Map([['size', weight]]),
  scales: { size: { transform: 'log10', min: 1, max: 1e9 } },
});

describe('decide', () => {
  it('chooses the least total, whatever the order of the candidates', () => {
    fc.assert(
      fc.property(candidates, fc.double({ min: 0, max: 4, noNaN: true }), (items, weight) => {
        const { ranked } = decide(input(items, weight));
        const least = Math.min(...ranked.map(({ total }) => total));
        expect(ranked[0]!.total).toBe(least);
        expect(
          decide(input([...items].reverse(), weight)).ranked.map(({ candidate }) => candidate.expert),
        ).toEqual(ranked.map(({ candidate }) => candidate.expert));
      }),
    );
  });

  it('never chooses a costlier expert when lambda rises, for fixed predictions', () => {
    fc.assert(
      fc.property(
        candidates,
        fc.double({ min: 0, max: 4, noNaN: true }),
        fc.double({ min: 0, max: 4, noNaN: true }),
        (items, weight, more) => {
          const cost = (lambda: number) =>
            costOf(decide(input(items, lambda)).ranked[0]!.candidate.properties.size, {
              transform: 'log10',
              min: 1,
              max: 1e9,
            });
          expect(cost(weight + more)).toBeLessThanOrEqual(cost(weight) + 1e-12);
        },
      ),
    );
  });

  it('lets no flag loosen a policy', () => {
    fc.assert(
      fc.property(
        candidates,
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.double({ min: 0, max: 4, noNaN: true }),
        (items, minTrust, weight) => {
          const policy = { allowedExperts: [], allowedLicences: ['MIT'], minTrust, maxParameters: 1e8 };
          for (const { candidate } of decide(input(items, weight, { policy })).ranked) {
            expect(candidate.trust).toBeGreaterThanOrEqual(minTrust);
            expect(candidate.parameterCount).toBeLessThanOrEqual(1e8);
          }
        },
      ),
    );
  });

  it('counts every rejection once, by the first filter that rejects', () => {
    const items = [
      { name: 'a', loss: 1, size: 10, trust: 1 },
      { name: 'b', loss: 0, size: 10, trust: 0 },
    ];
    const result = decide(
      input(items, 0, {
        policy: { allowedExperts: [], allowedLicences: [], minTrust: 0.5, maxParameters: 0 },
        experts: ['a'],
      }),
    );
    expect(result.ranked.map(({ candidate }) => candidate.expert)).toEqual(['a']);
    expect(result.rejections).toEqual([
      { filter: 'trust', count: 1, description: 'has a trust of at least 0.5' },
    ]);
    expect(decide(input(items, 0, { experts: ['nobody'] })).abstained).toBe(true);
  });

  it('does not trust an unknown property to keep a limit, and gives it a middle cost', () => {
    const items = [{ name: 'a', loss: 1, size: 10, trust: 1 }];
    expect(decide(input(items, 0, { limits: [{ name: 'latency', atMost: 5 }] })).ranked).toEqual([]);
    expect(costOf(undefined, { transform: 'linear', min: 0, max: 1 })).toBe(0.5);
    expect(costOf(7, { transform: 'linear', min: 7, max: 7 })).toBe(0);
  });
});
