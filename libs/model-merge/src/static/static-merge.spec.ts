import { ThalamusError } from '@thalamus/errors';
import { describe, expect, it } from 'vitest';
import { startStaticMerge, type ParametersOfTensor } from './static-merge.js';
import { STATIC_METHODS, staticMethod } from './static-methods.js';
import type { TensorGroup } from './static-method.js';

const caught = (work: () => unknown): ThalamusError => {
  try {
    work();
  } catch (error) {
    if (ThalamusError.is(error)) return error;
    throw error;
  }
  throw new Error('nothing was refused');
};

const floats = (...values: number[]) => Float32Array.from(values);
const group: TensorGroup = {
  name: 'w',
  dims: [2],
  base: floats(1, 2),
  parents: [
    { name: 'a', data: floats(2, 2) },
    { name: 'b', data: floats(1, 6) },
  ],
};
const two = (parameters: Record<string, unknown>) => [
  { name: 'a', parameters },
  { name: 'b', parameters },
];
const start = (method: string, given: ParametersOfTensor) => startStaticMerge(staticMethod(method), given);

describe('the registry of static methods', () => {
  it('finds methods by name and says which there are', () => {
    for (const method of STATIC_METHODS) expect(staticMethod(method.name)).toBe(method);
    expect(caught(() => staticMethod('teis')).message).toBe(
      `The merge method "teis" is unknown; known are ${STATIC_METHODS.map(({ name }) => name).join(', ')}.`,
    );
  });

  it('cites a paper for each, and says when passes over the model come first', () => {
    for (const { reference, modelWide } of STATIC_METHODS) {
      expect(reference).toMatch(/arXiv \d{4}\.\d{5}|Shoemake 1985/);
      expect(modelWide).toMatch(/^(never$|always, |with )/);
    }
  });

  it('passes come first exactly where a method says so', () => {
    const needs = STATIC_METHODS.filter(({ minParents, maxParents, name }) => {
      const parents = maxParents === 1 ? [{ name: 'a' }] : two({ weight: 1 });
      expect(minParents).toBe(1);
      return start(name, { shared: name === 'slerp' ? { t: 0.5 } : {}, parents }).needsPass;
    }).map(({ name }) => name);
    expect(needs).toEqual(['fisher', 'pcb']);
    expect(start('ties', { shared: { trim: 'model' }, parents: two({ weight: 1 }) }).needsPass).toBe(true);
    expect(start('fisher', { shared: { normalize: false }, parents: two({}) }).needsPass).toBe(false);
  });
});

describe('parameters of static merges', () => {
  it('are refused all at once, each with its place', () => {
    const error = caught(() =>
      start('ties', {
        shared: { lambda: NaN, normalise: true, trim: 'layer' },
        parents: [
          { name: 'a', parameters: { density: 1.5, weight: 1 } },
          { name: 'a', parameters: { weight: '1' } },
          { name: 'c', parameters: { wieght: 1 } },
        ],
      }),
    );
    expect(error.code).toBe('REQUEST_INVALID');
    expect(error.violations).toEqual([
      { field: 'parameters.lambda', description: 'must be a finite number' },
      { field: 'parameters.trim', description: 'must be "tensor" or "model"' },
      {
        field: 'parameters.normalise',
        description: 'is unknown; ties takes lambda, normalize, rescale, int8_mask, trim here',
      },
      { field: 'parents[0].parameters.density', description: 'must be 0 to 1' },
      { field: 'parents[1].name', description: 'names a again; each parent may be named once' },
      { field: 'parents[1].parameters.weight', description: 'must be a finite number' },
      { field: 'parents[2].parameters.weight', description: 'is missing; give each parent a weight' },
      { field: 'parents[2].parameters.wieght', description: 'is unknown; ties takes weight, density here' },
    ]);
  });

  it.each([
    ['slerp', { t: 1.2 }, 'parameters.t', 'must be 0 to 1'],
    ['slerp', {}, 'parameters.t', 'must be a finite number'],
    ['fisher', { floor: 0 }, 'parameters.floor', 'must be above 0'],
    ['pcb', { density: 0 }, 'parameters.density', 'must be above 0'],
    ['pcb', { tail: 0.5 }, 'parameters.tail', 'must be below 0.5'],
    ['dare_ties', { seed: 0.5 }, 'parameters.seed', 'must be a whole number'],
    ['dare_ties', { rescale: 'l2' }, 'parameters.rescale', 'must be true, false, "l1" or "expectation"'],
    ['breadcrumbs', { mask: 'column' }, 'parameters.mask', 'must be "tensor" or "row"'],
    ['linear', { lambda: 1 }, 'parameters.lambda', 'is unknown; linear takes normalize here'],
  ])('of %s refuse %o', (method, shared, field, description) => {
    const parents = method === 'slerp' ? [{ name: 'a' }] : [{ name: 'a', parameters: { weight: 1 } }];
    expect(caught(() => start(method, { shared, parents })).violations).toEqual([{ field, description }]);
  });

  it('say how many parents a method takes', () => {
    expect(caught(() => start('slerp', { shared: { t: 0 }, parents: two({}) })).message).toBe(
      'The parameters of slerp are not valid: parents names 2 parents; slerp takes 1.',
    );
    expect(caught(() => start('ties', { parents: [] })).message).toContain('ties takes 1 to 64');
  });

  it('of linear must have a sum to divide by', () => {
    const parents = [
      { name: 'a', parameters: { weight: 1 } },
      { name: 'b', parameters: { weight: -1 } },
    ];
    expect(caught(() => start('linear', { parents })).message).toContain('sum to 0');
    expect(start('linear', { parents, shared: { normalize: false } }).merge(group)).toEqual(floats(1, -4));
  });

  it('may vary with the tensor, but not where the whole model is looked at first', () => {
    const byTensor = (tensor: string) => ({ parents: two({ weight: tensor === 'w' ? 1 : 0 }) });
    const merge = start('task_arithmetic', byTensor);
    expect(merge.merge(group)).toEqual(floats(2, 6));
    expect(merge.merge({ ...group, name: 'v' })).toEqual(floats(1, 2));
    const model = start('ties', (tensor) => ({ ...byTensor(tensor), shared: { trim: 'model' } }));
    model.observe(group);
    expect(caught(() => model.observe({ ...group, name: 'v' })).message).toContain(
      'ties takes statistics of the whole model',
    );
  });
});

describe('tensors of static merges', () => {
  const ties = () => start('ties', { parents: two({ weight: 1 }) });

  it.each<[string, Partial<TensorGroup>, string]>([
    ['no base', { base: undefined }, 'the base is missing'],
    ['a short base', { base: floats(1) }, 'the base has 1 elements where its dimensions say 2'],
    ['NaN', { parents: [group.parents[0]!, { name: 'b', data: floats(NaN, 1) }] }, 'b holds NaN or infinity'],
    ['infinity', { base: floats(-Infinity, 1) }, 'the base holds NaN or infinity'],
    ['a parent too few', { parents: group.parents.slice(1) }, '1 parents are given for 2 names'],
    ['another parent', { parents: [group.parents[0]!, { name: 'c', data: floats(1, 1) }] }, 'b brings none'],
    ['another shape', { dims: [3] }, 'the base has 2 elements where its dimensions say 3'],
  ])('with %s are refused', (_, change, reason) => {
    const error = caught(() => ties().merge({ ...group, ...change }));
    expect(error.code).toBe('TENSOR_INVALID');
    expect(error.message).toContain(`Tensor w cannot be merged: ${reason}.`);
  });

  it('need information that is there and not negative for Fisher', () => {
    const merge = start('fisher', { shared: { normalize: false }, parents: two({}) });
    expect(caught(() => merge.merge(group)).message).toContain('the information of a is missing');
    const negative = group.parents.map((parent) => ({ ...parent, information: floats(1, -1) }));
    expect(caught(() => merge.merge({ ...group, parents: negative })).message).toContain('negative number');
  });

  it('are written into an array of the caller, which must fit', () => {
    const out = floats(0, 0);
    expect(ties().merge(group, out)).toBe(out);
    expect(out).toEqual(floats(2, 6));
    expect(caught(() => ties().merge(group, floats(0))).message).toContain('the output has 1 elements');
  });

  it('wait until the passes over the model have ended', () => {
    const merge = start('pcb', { parents: two({}) });
    merge.observe(group);
    expect(caught(() => merge.merge(group)).message).toContain('pcb has to see every tensor');
    for (let pass = 1; pass <= 4; pass++) {
      expect(merge.needsPass).toBe(true);
      if (pass > 1) merge.observe(group);
      merge.endPass();
    }
    expect(merge.needsPass).toBe(false);
    expect(merge.merge(group)).toHaveLength(2);
  });

  it('may be empty or a scalar', () => {
    const empty = {
      name: 'e',
      dims: [0],
      base: floats(),
      parents: ['a', 'b'].map((name) => ({ name, data: floats() })),
    };
    expect(ties().merge(empty)).toEqual(floats());
    const scalar = {
      name: 's',
      dims: [],
      base: floats(1),
      parents: ['a', 'b'].map((name) => ({ name, data: floats(3) })),
    };
    expect(ties().merge(scalar)).toEqual(floats(3));
  });
});
