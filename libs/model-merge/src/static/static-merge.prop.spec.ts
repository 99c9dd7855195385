import { createRandom } from '@thalamus/tensor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { startStaticMerge } from './static-merge.js';
import { STATIC_METHODS, staticMethod } from './static-methods.js';
import type { GivenParameters } from './static-parameters.js';
import type { TensorGroup } from './static-method.js';

const RUNS = { seed: 7, numRuns: 20 };

/** A model of a few tensors, one of them longer than a block. */
const modelOf = (seed: number, parents: number): readonly TensorGroup[] => {
  const random = createRandom(seed);
  const floats = (n: number, of: () => number) => Float32Array.from({ length: n }, of);
  return [
    { name: 'layer.0.weight', dims: [3, 17] },
    { name: 'layer.0.bias', dims: [5] },
    { name: 'embeddings', dims: [11, 211] },
  ].map(({ name, dims }) => {
    const n = dims.reduce((product, size) => product * size, 1);
    const base = floats(n, () => random.normal());
    return {
      name,
      dims,
      base,
      parents: Array.from({ length: parents }, (_, index) => ({
        name: `parent-${index}`,
        data: base.map((value) => value + 0.1 * random.normal()),
        information: floats(n, () => random.next() ** 4),
      })),
    };
  });
};

const run = (method: string, given: GivenParameters, model: readonly TensorGroup[]) => {
  const merge = startStaticMerge(staticMethod(method), given);
  while (merge.needsPass) {
    for (const group of model) merge.observe(group);
    merge.endPass();
  }
  return model.map((group) => merge.merge(group));
};

const methods = STATIC_METHODS.map(({ name }) => name);
const orderFree = STATIC_METHODS.filter(({ isOrderFree }) => isOrderFree);
const taskVectors = methods.filter((name) => !['linear', 'slerp', 'fisher', 'pcb'].includes(name));

/** Parameters that make each method do something. */
const parametersOf = (method: string, parents: number, shared: Record<string, unknown> = {}) => {
  const sparse = ['linear', 'slerp', 'fisher', 'pcb'].includes(method) ? {} : { density: 0.3 };
  return {
    shared: { ...(method === 'slerp' ? { t: 0.3 } : {}), ...shared },
    parents: Array.from({ length: parents }, (_, index) => ({
      name: `parent-${index}`,
      parameters: method === 'slerp' ? {} : { weight: 0.2 + 0.1 * index, ...sparse },
    })),
  };
};

const each = (weight: number, parents: number, rest: Record<string, number> = {}) =>
  Array.from({ length: parents }, (_, index) => ({
    name: `parent-${index}`,
    parameters: { weight, ...rest },
  }));

const same = (model: readonly TensorGroup[]): readonly TensorGroup[] =>
  model.map((group) => ({
    ...group,
    parents: group.parents.map((parent) => ({ ...parent, data: group.parents[0]!.data })),
  }));

const seeds = fc.integer({ min: 0, max: 2 ** 31 });
const counts = fc.integer({ min: 2, max: 5 });

/** How many elements left the base; every one that did must be the first expert's. */
const movedToExpert = (values: Float32Array, { base, parents }: TensorGroup): number => {
  const moved = Array.from(values.keys()).filter((i) => values[i] !== base![i]);
  const expert = parents[0]!.data;
  expect(moved.filter((i) => Math.abs(values[i]! - expert[i]!) > 1e-6)).toEqual([]);
  return moved.length;
};

/** Bytes of all tensors, quick to compare. */
const bytesOf = (tensors: readonly Float32Array[]) =>
  tensors.map(({ buffer }) => Buffer.from(buffer as ArrayBuffer).toString('base64'));

const farthest = (a: Float32Array, b: Float32Array) =>
  a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0);

describe('static merges of any model', () => {
  it('lambda 0 gives the bytes of the base, in every method that has a lambda', () => {
    const withLambda = STATIC_METHODS.filter(({ shared }) => 'lambda' in shared.shape);
    expect(withLambda.map(({ name }) => name)).toEqual([...taskVectors, 'pcb']);
    fc.assert(
      fc.property(seeds, counts, (seed, parents) => {
        const model = modelOf(seed, parents);
        model[0]!.base![0] = -0;
        for (const { name } of withLambda)
          expect(bytesOf(run(name, parametersOf(name, parents, { lambda: 0 }), model)), name).toEqual(
            bytesOf(model.map(({ base }) => base!)),
          );
      }),
      RUNS,
    );
  });

  it('identical experts: every average is the expert', () => {
    fc.assert(
      fc.property(seeds, counts, (seed, parents) => {
        const model = same(modelOf(seed, parents));
        for (const method of ['linear', 'fisher'])
          expect(bytesOf(run(method, parametersOf(method, parents), model)), method).toEqual(
            bytesOf(model.map((group) => group.parents[0]!.data)),
          );
      }),
      RUNS,
    );
  });

  it('identical experts: TIES is the expert on the kept part and the base elsewhere, of a tensor or of the model', () => {
    fc.assert(
      fc.property(seeds, counts, fc.constantFrom('tensor', 'model'), (seed, parents, trim) => {
        const model = same(modelOf(seed, parents));
        const merged = run('ties', { shared: { trim }, parents: each(1, parents, { density: 0.2 }) }, model);
        const kept = merged.map((values, index) => movedToExpert(values, model[index]!));
        const sizes = model.map(({ base }) => base!.length);
        if (trim === 'tensor') expect(kept).toEqual(sizes.map((n) => Math.max(1, Math.trunc(0.2 * n))));
        else expect(total(kept)).toBe(Math.trunc(0.2 * total(sizes)));
      }),
      RUNS,
    );
  });

  it('with all kept, TIES of one expert, DARE and Breadcrumbs are Task Arithmetic', () => {
    fc.assert(
      fc.property(seeds, counts, (seed, parents) => {
        const model = modelOf(seed, parents);
        const wanted = bytesOf(run('task_arithmetic', { parents: each(0.3, parents) }, model));
        const whole = each(0.3, parents, { density: 1 });
        expect(bytesOf(run('dare_linear', { parents: whole, shared: { seed } }, model))).toEqual(wanted);
        const noOutliers = each(0.3, parents, { density: 1, gamma: 0 });
        expect(bytesOf(run('breadcrumbs', { parents: noOutliers }, model))).toEqual(wanted);
        const one = model.map((group) => ({ ...group, parents: group.parents.slice(0, 1) }));
        expect(bytesOf(run('ties', { parents: each(0.3, 1), shared: { normalize: false } }, one))).toEqual(
          bytesOf(run('task_arithmetic', { parents: each(0.3, 1) }, one)),
        );
      }),
      RUNS,
    );
  });

  it('Fisher averaging with equal information is the average', () => {
    fc.assert(
      fc.property(seeds, counts, (seed, parents) => {
        const model = modelOf(seed, parents).map((group) => ({
          ...group,
          parents: group.parents.map((parent) => ({
            ...parent,
            information: group.parents[0]!.information!,
          })),
        }));
        const average = run('linear', { parents: each(1, parents) }, model);
        run('fisher', { parents: each(1, parents) }, model).forEach((merged, index) =>
          expect(farthest(merged, average[index]!)).toBeLessThan(1e-6),
        );
      }),
      RUNS,
    );
  });

  it('Fisher averaging follows the parent that is sure', () => {
    const model = modelOf(5, 2).map((group) => ({
      ...group,
      parents: group.parents.map((parent, index) => ({
        ...parent,
        information: parent.data.map((_, i) => (i % 2 === index ? 1e3 : 0)),
      })),
    }));
    run('fisher', { parents: each(1, 2), shared: { floor: 1e-12 } }, model).forEach((merged, tensor) => {
      const sure = merged.map((_, i) => model[tensor]!.parents[i % 2]!.data[i]!);
      expect(farthest(merged, sure)).toBeLessThan(1e-5);
    });
  });

  it('the order of parents changes no byte where it should not', () => {
    fc.assert(
      fc.property(seeds, counts, (seed, parents) => {
        const model = modelOf(seed, parents);
        const turned = model.map((group) => ({ ...group, parents: [...group.parents].reverse() }));
        for (const { name } of orderFree) {
          const given = parametersOf(name, parents);
          const reversed = { ...given, parents: [...given.parents].reverse() };
          expect(bytesOf(run(name, reversed, turned)), name).toEqual(bytesOf(run(name, given, model)));
        }
      }),
      { ...RUNS, numRuns: 8 },
    );
  });

  it('the order of tensors changes no byte, in passes and in merging', () => {
    fc.assert(
      fc.property(seeds, counts, (seed, parents) => {
        const model = modelOf(seed, parents);
        for (const method of methods.filter((name) => name !== 'slerp')) {
          const given = parametersOf(method, parents, method === 'ties' ? { trim: 'model' } : {});
          const backwards = run(method, given, [...model].reverse()).reverse();
          expect(bytesOf(backwards), method).toEqual(bytesOf(run(method, given, model)));
        }
      }),
      { ...RUNS, numRuns: 8 },
    );
  });

  it('PCB of one expert moves only what wins, and moves that as far as the expert', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const model = modelOf(seed, 1);
        const merged = run('pcb', { shared: { density: 0.1, tail: 0 }, parents: each(1, 1) }, model);
        const moved = merged.map((values, index) => movedToExpert(values, model[index]!));
        const n = total(model.map(({ base }) => base!.length));
        // The one at the threshold wins nothing.
        expect(total(moved)).toBe(n - Math.trunc(0.9 * n) - 1);
      }),
      RUNS,
    );
  });
});

describe('slerp', () => {
  it('begins at the base, ends at the parent and turns by its share of the angle', () => {
    fc.assert(
      fc.property(seeds, fc.double({ min: 0.01, max: 0.99, noNaN: true }), (seed, t) => {
        const random = createRandom(seed);
        const unit = () => {
          const values = Float64Array.from({ length: 40 }, () => random.normal());
          const norm = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
          return Float32Array.from(values, (value) => value / norm);
        };
        const group: TensorGroup = {
          name: 'w',
          dims: [40],
          base: unit(),
          parents: [{ name: 'parent-0', data: unit() }],
        };
        const at = (share: number) =>
          run('slerp', { shared: { t: share }, parents: [{ name: 'parent-0' }] }, [group])[0]!;
        expect(at(0)).toEqual(group.base);
        expect(at(1)).toEqual(group.parents[0]!.data);
        const turned = at(t);
        const whole = angle(group.base!, group.parents[0]!.data);
        expect(angle(group.base!, turned)).toBeCloseTo(t * whole, 4);
        expect(angle(turned, group.parents[0]!.data)).toBeCloseTo((1 - t) * whole, 4);
        expect(Math.sqrt(dot(turned, turned))).toBeCloseTo(1, 5);
      }),
      RUNS,
    );
  });

  it('goes straight between parallel, opposed and zero tensors', () => {
    const between = (base: number[], parent: number[]) =>
      Array.from(
        run('slerp', { shared: { t: 0.25 }, parents: [{ name: 'parent-0' }] }, [
          {
            name: 'w',
            dims: [2],
            base: Float32Array.from(base),
            parents: [{ name: 'parent-0', data: Float32Array.from(parent) }],
          },
        ])[0]!,
      );
    expect(between([1, 2], [3, 6])).toEqual([1.5, 3]);
    expect(between([1, 2], [-3, -6])).toEqual([0, 0]);
    // A zero tensor has no direction: cosine 0, a right angle.
    expect(between([0, 0], [4, 0])[0]).toBeCloseTo(4 * Math.sin(Math.PI / 8), 6);
  });
});

const total = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0);
const dot = (a: Float32Array, b: Float32Array) => a.reduce((sum, value, i) => sum + value * b[i]!, 0);
const angle = (a: Float32Array, b: Float32Array) =>
  Math.acos(Math.min(1, dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b))));
