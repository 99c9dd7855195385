import { ThalamusError } from '@thalamus/errors';
import { describe, expect, it } from 'vitest';
import { parameterFacts } from './composition-method.js';
import { COMPOSITION_METHODS, compositionMethod } from './composition-methods.js';
import { STATIC_METHODS } from './static/static-methods.js';
import { SWITCH, switchParameters } from './switch/switch-method.js';
import { rankRuleOf, TWIN, twinFaults, twinParameters } from './twin/twin-method.js';

const caught = (work: () => unknown): ThalamusError => {
  try {
    work();
  } catch (error) {
    if (ThalamusError.is(error)) return error;
  }
  throw new Error('nothing was refused');
};

describe('composition methods', () => {
  it('are found by name, and an unknown name is told the known ones', () => {
    expect(compositionMethod('twin')).toBe(TWIN);
    expect(compositionMethod('switch')).toBe(SWITCH);
    const names = ['twin', 'switch', ...STATIC_METHODS.map(({ name }) => name)].join(', ');
    expect(COMPOSITION_METHODS.map(({ name }) => name).join(', ')).toBe(names);
    expect(caught(() => compositionMethod('tweed'))).toMatchObject({
      code: 'REQUEST_INVALID',
      message: `The merge method "tweed" is unknown; known are ${names}.`,
      violations: [{ field: 'recipe.method', description: `one of ${names}` }],
    });
  });

  it('say what every parameter is for', () => {
    for (const method of COMPOSITION_METHODS)
      for (const { name, description } of parameterFacts(method))
        expect(description, `${method.name}.${name}`).toMatch(/^[A-Z0-9].{20,}\.$/s);
  });

  it('have defaults that their own schemas take', () => {
    for (const { name, shared, perModel } of COMPOSITION_METHODS)
      for (const [parameter, schema] of Object.entries({ ...shared, ...perModel })) {
        const { success, data } = schema.safeParse(undefined);
        if (success && data !== undefined)
          expect(schema.safeParse(data === 'none' ? false : data).success, `${name}.${parameter}`).toBe(true);
      }
  });

  it('of twin: one rule of rank, the paper’s unless another is given', () => {
    const parse = (given: object) => twinParameters.parse(given);
    expect(rankRuleOf(parse({}))).toEqual({ kind: 'fraction', fraction: 0.1 });
    expect(rankRuleOf(parse({ rank: 4 }))).toEqual({ kind: 'rank', rank: 4 });
    expect(rankRuleOf(parse({ rank_energy: 0.9 }))).toEqual({ kind: 'energy', share: 0.9 });
    expect(rankRuleOf(parse({ rank_bytes: 4096 }))).toEqual({ kind: 'bytes', bytes: 4096 });
    expect(twinFaults(twinParameters.parse({ rank: 4, rank_energy: 0.9, rank_bytes: 4096 }))).toEqual([
      { parameter: 'rank_energy', description: 'cannot be given beside rank; choose one rule' },
      { parameter: 'rank_bytes', description: 'cannot be given beside rank; choose one rule' },
    ]);
    for (const wrong of [
      { rank: 0 },
      { rank_fraction: 0 },
      { rank_fraction: 1.1 },
      { shared: 'slerp' },
      { gamma: 1 },
    ])
      expect(twinParameters.safeParse(wrong).success).toBe(false);
  });

  it('of switch take values at the ends of a range', () => {
    expect(switchParameters.parse({ router_l2: 1, rows_per_parent: 20 })).toEqual({
      router_l2: 1,
      rows_per_parent: 20,
    });
    for (const wrong of [{ router_l2: NaN }, { rows_per_parent: 20.5 }, { rows_per_parent: 19 }, { rank: 3 }])
      expect(switchParameters.safeParse(wrong).success).toBe(false);
  });
});
