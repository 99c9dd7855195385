import { STATIC_METHODS } from '@thalamus/model-merge';
import type { Weights } from '@thalamus/onnx-graph';
import { createRandom, tensor } from '@thalamus/tensor';
import { picoWeights } from '@thalamus/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mergeWeights, type StaticRecipe } from '../src/index.js';

const RUNS = { seed: 20261129, numRuns: 4 };
const TOKEN_TYPES = 'embeddings.token_type_embeddings.weight';
const seeds = fc.nat(10_000);

/** What parents are merged over; random token types, so that a merge of them would show. */
const baseOf = (seed: number) => picoWeights(seed);

/** Weights with every number replaced. */
const mapped = (weights: Weights, of: (value: number) => number): Weights =>
  new Map([...weights].map(([name, { shape, data }]) => [name, tensor('float32', shape, data.map(of))]));

/** Every weight moved, token types as well. */
function tuned(weights: Weights, seed: number): Weights {
  const random = createRandom(seed);
  return mapped(weights, (value) => value + 0.05 * random.normal());
}

const parentsOf = (base: Weights, ...seeds: number[]) =>
  seeds.map((seed, at) => ({ name: `parent-${at}`, weights: tuned(base, seed) }));

/** Parameters of every parent, and those of the whole. */
const recipeOf = (
  method: string,
  parents: number,
  each: Record<string, unknown>,
  shared: Record<string, unknown> = {},
): StaticRecipe => ({
  method,
  parameters: {
    shared,
    parents: Array.from({ length: parents }, (_, at) => ({ name: `parent-${at}`, parameters: each })),
  },
});

const namesOf = (weights: Weights) => [...weights.keys()].filter((name) => name !== TOKEN_TYPES);
const sizeOf = (weights: Weights) =>
  namesOf(weights).reduce((sum, name) => sum + weights.get(name)!.data.length, 0);

/** Largest difference of two models, token types left out. */
const apart = (a: Weights, b: Weights) =>
  namesOf(a).reduce((most, name) => {
    const other = b.get(name)!.data;
    return a.get(name)!.data.reduce((far, value, i) => Math.max(far, Math.abs(value - other[i]!)), most);
  }, 0);

/** Information that differs from place to place, alike for all parents. */
const information = (base: Weights) => () => mapped(base, (value) => value * value);

describe('mergeWeights', () => {
  it('gives the base exactly where lambda is 0, by every method that has one', () => {
    const withLambda = STATIC_METHODS.filter(({ shared }) => 'lambda' in shared.shape);
    expect(withLambda.length).toBeGreaterThanOrEqual(6);
    fc.assert(
      fc.property(seeds, (seed) => {
        const base = baseOf(seed);
        const parents = parentsOf(base, seed + 1, seed + 2);
        for (const { name } of withLambda)
          expect(
            mergeWeights(recipeOf(name, 2, { weight: 0.7 }, { lambda: 0 }), base, parents),
            name,
          ).toEqual(base);
      }),
      RUNS,
    );
  });

  it('gives the parent where it is alone and its weight is 1, all of it kept', () => {
    const alone: StaticRecipe[] = [
      recipeOf('linear', 1, { weight: 1 }),
      recipeOf('fisher', 1, {}),
      recipeOf('slerp', 1, {}, { t: 1 }),
      ...['task_arithmetic', 'ties', 'dare_linear', 'dare_ties'].map((method) =>
        recipeOf(method, 1, { weight: 1, density: 1 }),
      ),
      ...['breadcrumbs', 'breadcrumbs_ties'].map((method) =>
        recipeOf(method, 1, { weight: 1, density: 1, gamma: 0 }),
      ),
    ];
    // PCB keeps of a parent what wins, which is never all of it.
    expect(alone.map(({ method }) => method).sort()).toEqual(
      STATIC_METHODS.map(({ name }) => name)
        .filter((name) => name !== 'pcb')
        .sort(),
    );
    fc.assert(
      fc.property(seeds, (seed) => {
        const base = baseOf(seed);
        const [parent] = parentsOf(base, seed + 1);
        for (const recipe of alone) {
          const merged = mergeWeights(recipe, base, [parent!], { information: information(base) });
          expect(apart(merged, parent!.weights), recipe.method).toBeLessThan(1e-6);
        }
      }),
      RUNS,
    );
  });

  it('of equal parents is the parent by every average, and by TIES on the kept share of the whole model', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const base = baseOf(seed);
        const { weights } = parentsOf(base, seed + 1)[0]!;
        const parents = [0, 1, 2].map((at) => ({ name: `parent-${at}`, weights }));
        const hooks = { information: information(base) };
        for (const method of ['linear', 'fisher'])
          expect(
            apart(mergeWeights(recipeOf(method, 3, { weight: 0.4 }), base, parents, hooks), weights),
          ).toBeLessThan(1e-6);
        const ties = recipeOf('ties', 3, { weight: 1, density: 0.2 }, { trim: 'model' });
        const merged = mergeWeights(ties, base, parents);
        let kept = 0;
        for (const name of namesOf(base))
          merged.get(name)!.data.forEach((value, i) => {
            if (value === base.get(name)!.data[i]) return;
            kept += 1;
            expect(Math.abs(value - weights.get(name)!.data[i]!)).toBeLessThan(1e-6);
          });
        expect(kept).toBe(Math.trunc(0.2 * sizeOf(base)));
      }),
      RUNS,
    );
  });

  it('DARE that drops nothing and Breadcrumbs without tails are Task Arithmetic; equal information is the average', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const base = baseOf(seed);
        const parents = parentsOf(base, seed + 1, seed + 2);
        const of = (...given: Parameters<typeof recipeOf>) =>
          mergeWeights(recipeOf(...given), base, parents, { information: information(base) });
        const sum = of('task_arithmetic', 2, { weight: 0.3 });
        expect(of('dare_linear', 2, { weight: 0.3, density: 1 }, { seed })).toEqual(sum);
        expect(of('breadcrumbs', 2, { weight: 0.3, density: 1, gamma: 0 })).toEqual(sum);
        expect(apart(of('fisher', 2, { weight: 1 }), of('linear', 2, { weight: 1 }))).toBeLessThan(1e-6);
        expect(apart(sum, base)).toBeGreaterThan(0.01);
      }),
      RUNS,
    );
  });

  it('DARE keeps what it is expected to: its mean over 200 seeds is the change', () => {
    const base = baseOf(1);
    const parents = parentsOf(base, 2);
    const name = 'encoder.layer.0.attention.self.query.weight';
    const only = (weights: Weights): Weights => new Map([[name, weights.get(name)!]]);
    const [start, parent] = [only(base), { name: 'parent-0', weights: only(parents[0]!.weights) }];
    const sum = new Float64Array(start.get(name)!.data.length);
    for (let seed = 0; seed < 200; seed++) {
      const dare = recipeOf('dare_linear', 1, { weight: 1, density: 0.5 }, { seed, rescale: 'expectation' });
      mergeWeights(dare, start, [parent])
        .get(name)!
        .data.forEach((value, i) => (sum[i]! += value - start.get(name)!.data[i]!));
    }
    const change = parent.weights.get(name)!.data.map((value, i) => value - start.get(name)!.data[i]!);
    const off = Array.from(sum, (value, i) => Math.abs(value / 200 / change[i]! - 1));
    // A mean of 200 draws of 0 or 2 is off by 0.07, one deviation.
    expect(Math.max(...off)).toBeLessThan(0.35);
    expect(off.reduce((total, value) => total + value, 0) / off.length).toBeLessThan(0.07);
  });

  it('leaves token types as they are, keeps the names, and tells of every tensor', () => {
    const base = baseOf(1);
    const parents = parentsOf(base, 2, 3);
    for (const { name } of STATIC_METHODS.filter(({ maxParents }) => maxParents > 1)) {
      const told: number[] = [];
      const merged = mergeWeights(recipeOf(name, 2, { weight: 0.5 }), base, parents, {
        information: information(base),
        onTensor: (done, total) => told.push(done / total),
      });
      expect(merged.get(TOKEN_TYPES), name).toBe(base.get(TOKEN_TYPES));
      expect([...merged.keys()].sort()).toEqual([...base.keys()].sort());
      expect(apart(merged, base), name).toBeGreaterThan(1e-3);
      expect(told).toEqual(namesOf(base).map((_, at) => (at + 1) / namesOf(base).length));
    }
  });

  it('between two parents is the one at 0 and the other at 1, and the same from either side', () => {
    const base = baseOf(1);
    const parents = parentsOf(base, 2, 3);
    const between = (start: number, t: number) =>
      mergeWeights(
        {
          method: 'slerp',
          start: `parent-${start}`,
          parameters: { shared: { t }, parents: [{ name: `parent-${1 - start}` }] },
        },
        base,
        parents,
      );
    expect(apart(between(0, 0), parents[0]!.weights)).toBe(0);
    expect(apart(between(0, 1), parents[1]!.weights)).toBeLessThan(1e-6);
    expect(apart(between(0, 0.3), between(1, 0.7))).toBeLessThan(1e-6);
    expect(between(0, 0.3).get(TOKEN_TYPES)).toBe(base.get(TOKEN_TYPES));
  });

  it('refuses a merge that outgrows float32, and names the tensor', () => {
    const base = baseOf(1);
    const merging = () =>
      mergeWeights(recipeOf('task_arithmetic', 2, { weight: 1e300 }), base, parentsOf(base, 2, 3));
    expect(merging).toThrow(/^task_arithmetic makes numbers of \S+\.weight that float32 cannot hold/);
    expect(merging).toThrow(expect.objectContaining({ code: 'COMPOSITION_REFUSED' }) as Error);
  });

  it('takes parents in any order, and refuses one that does not fit by its name', () => {
    const base = baseOf(1);
    const [first, second] = parentsOf(base, 2, 3);
    const recipe: StaticRecipe = {
      method: 'task_arithmetic',
      parameters: {
        parents: [
          { name: 'parent-0', parameters: { weight: 0.2 } },
          { name: 'parent-1', parameters: { weight: 0.9 } },
        ],
      },
    };
    expect(mergeWeights(recipe, base, [second!, first!])).toEqual(
      mergeWeights(recipe, base, [first!, second!]),
    );
    const spoilt = new Map(second!.weights);
    spoilt.delete('embeddings.LayerNorm.bias');
    expect(() => mergeWeights(recipe, base, [first!, { name: 'parent-1', weights: spoilt }])).toThrow(
      'parent-1 cannot be merged: it has no tensor embeddings.LayerNorm.bias',
    );
    expect(() => mergeWeights({ ...recipe, method: 'melt' }, base, [first!, second!])).toThrow(
      'The merge method "melt" is unknown',
    );
  });
});
