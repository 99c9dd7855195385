import { ThalamusError } from '@thalamus/errors';
import { describe, expect, it } from 'vitest';
import { parseMergeParameters } from './merge-method.js';
import { MERGE_METHODS, mergeMethod } from './merge-methods.js';
import { SWITCH_METHOD } from './switch/switch-method.js';

const caught = (work: () => unknown): ThalamusError => {
  try {
    work();
  } catch (error) {
    if (ThalamusError.is(error)) return error;
  }
  throw new Error('nothing was refused');
};

describe('merge methods', () => {
  it('are found by name, and an unknown name is told the known ones', () => {
    expect(mergeMethod('twin')).toBe(SWITCH_METHOD);
    expect(caught(() => mergeMethod('ties'))).toMatchObject({
      code: 'REQUEST_INVALID',
      message: 'The merge method "ties" is unknown; known are twin.',
      violations: [{ field: 'recipe.method', description: 'one of twin' }],
    });
  });

  it('have defaults inside their own ranges', () => {
    for (const method of MERGE_METHODS)
      expect(parseMergeParameters(method, {})).toEqual(
        Object.fromEntries(method.parameters.map(({ name, defaultValue }) => [name, defaultValue])),
      );
  });

  it('take values at the ends of a range and name every fault at once', () => {
    expect(parseMergeParameters(SWITCH_METHOD, { router_l2: 1, rows_per_parent: 20 })).toEqual({
      router_l2: 1,
      rows_per_parent: 20,
    });
    const error = caught(() =>
      parseMergeParameters(SWITCH_METHOD, { router_l2: NaN, rows_per_parent: 20.5, rank: 3 }),
    );
    expect(error.code).toBe('REQUEST_INVALID');
    expect(error.violations).toEqual([
      { field: 'recipe.parameters.router_l2', description: 'must be 0 to 1' },
      { field: 'recipe.parameters.rows_per_parent', description: 'must be a whole number' },
      { field: 'recipe.parameters.rank', description: 'is unknown; twin takes router_l2, rows_per_parent' },
    ]);
    expect(caught(() => parseMergeParameters(SWITCH_METHOD, { rows_per_parent: 19 })).message).toContain(
      'must be 20 to 5500',
    );
  });
});
