import type { Mixture, Weights } from '@thalamus/onnx-graph';
import { createRandom, decodeFloat16, encodeFloat16, tensor, type TensorOf } from '@thalamus/tensor';
import { picoWeights } from '@thalamus/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chooseRanks, maxRankOf } from './choose-ranks.js';
import { decomposeExclusiveVectors, type ParentWeights } from './exclusive-vectors.js';

const RUNS = { seed: 20261129, numRuns: 6 };
const TOKEN_TYPES = 'embeddings.token_type_embeddings.weight';
const WORDS = 'embeddings.word_embeddings.weight';
const QUERY = 'encoder.layer.0.attention.self.query.weight';
const NORM = 'encoder.layer.1.output.LayerNorm.bias';
const WHOLE = { kind: 'fraction', fraction: 1 } as const;

type Tensors = Map<string, TensorOf<'float32'>>;

/** Weights that a fine-tune might have come to. */
function tuned(weights: Weights, seed: number, spread = 0.05): Tensors {
  const random = createRandom(seed);
  return new Map(
    [...weights].map(([name, { shape, data }]) => {
      const moved = data.map((value) => value + spread * random.normal());
      return [name, name === TOKEN_TYPES ? weights.get(name)! : tensor('float32', shape, moved)];
    }),
  );
}

const parentsOf = (shared: Weights, ...seeds: number[]): ParentWeights[] =>
  seeds.map((seed, at) => ({ name: `parent-${at}`, weights: tuned(shared, seed) }));

const decomposed = (shared: Weights, parents: readonly ParentWeights[], seed = 1) =>
  decomposeExclusiveVectors(shared, parents, { maxRank: maxRankOf(WHOLE), seed });

async function wholeMixture(shared: Weights, parents: readonly ParentWeights[], seed = 1): Promise<Mixture> {
  const vectors = await decomposed(shared, parents, seed);
  return vectors.mixture(chooseRanks(vectors.spectra, WHOLE));
}

/** What one parent changes of a matrix, as it is stored. */
function changeOf({ matrices }: Mixture, name: string, parent: number): Float64Array {
  const { rank, left, right } = matrices.get(name)![parent]!;
  const [u, v] = [left, right].map((values) => decodeFloat16(encodeFloat16(values)));
  const rows = left.length / rank;
  const columns = right.length / rank;
  return Float64Array.from({ length: rows * columns }, (_, at) => {
    const [row, column] = [Math.floor(at / columns), at % columns];
    let sum = 0;
    for (let k = 0; k < rank; k++) sum += u![row * rank + k]! * v![k * columns + column]!;
    return sum;
  });
}

const farthest = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Array.from(a).reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0);

describe('decomposeExclusiveVectors', () => {
  it('of full rank and one-hot weights gives the parents back: matrices to 1e-4, vectors to the last bit', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(1_000), async (seed) => {
        const shared = picoWeights(seed);
        const parents = parentsOf(shared, seed + 1, seed + 2);
        const mixture = await wholeMixture(shared, parents);
        expect([...mixture.matrices.keys(), ...mixture.vectors.keys(), TOKEN_TYPES].sort()).toEqual(
          [...shared.keys()].sort(),
        );
        parents.forEach(({ weights }, parent) => {
          for (const name of mixture.matrices.keys()) {
            const { data } = shared.get(name)!;
            const back = changeOf(mixture, name, parent).map((value, i) => value + data[i]!);
            expect(farthest(back, weights.get(name)!.data), name).toBeLessThan(1e-4);
          }
          for (const [name, { shared: own, changes }] of mixture.vectors) {
            const wanted = weights.get(name)!.data;
            expect(own, name).toEqual(shared.get(name)!.data);
            const back = own.map((value, i) => value + changes[parent * own.length + i]!);
            // A change is rounded once, its sum once more.
            back.forEach((value, i) =>
              expect(Math.abs(value - wanted[i]!)).toBeLessThanOrEqual(
                2 ** -23 * (Math.abs(wanted[i]!) + Math.abs(own[i]!)),
              ),
            );
          }
        });
      }),
      RUNS,
    );
  });

  it('of a lower rank is the best of that rank: what is left out is the energy of the values left out', async () => {
    const shared = picoWeights(3);
    const [parent] = parentsOf(shared, 4);
    const vectors = await decomposed(shared, [parent!]);
    for (const rank of [1, 4, 9]) {
      const mixture = vectors.mixture(chooseRanks(vectors.spectra, { kind: 'rank', rank }));
      for (const [name, [spectrum]] of vectors.spectra) {
        const own = parent!.weights.get(name)!.data;
        const { data } = shared.get(name)!;
        const off = changeOf(mixture, name, 0).reduce(
          (sum, value, i) => sum + (own[i]! - data[i]! - value) ** 2,
          0,
        );
        const leftOut = spectrum!.s.subarray(rank).reduce((sum, value) => sum + value * value, 0);
        expect(off / spectrum!.energy, `${name} of rank ${rank}`).toBeCloseTo(leftOut / spectrum!.energy, 4);
      }
    }
  });

  it('counts all elements of all parents, and the energy of every change', async () => {
    const shared = picoWeights(3);
    const parents = parentsOf(shared, 4, 5, 6);
    const { denseElements, spectra, parents: names } = await decomposed(shared, parents);
    const elements = [...shared].reduce(
      (sum, [name, { data }]) => sum + (name === TOKEN_TYPES ? 0 : data.length),
      0,
    );
    expect(denseElements).toBe(3 * elements);
    expect(names).toEqual(['parent-0', 'parent-1', 'parent-2']);
    parents.forEach(({ weights }, parent) => {
      const { energy, s, rows, columns } = spectra.get(QUERY)![parent]!;
      expect([rows, columns]).toEqual([16, 16]);
      const own = weights.get(QUERY)!.data;
      const wanted = shared.get(QUERY)!.data.reduce((sum, value, i) => sum + (own[i]! - value) ** 2, 0);
      expect(energy).toBeCloseTo(wanted, 10);
      expect(s.reduce((sum, value) => sum + value * value, 0)).toBeCloseTo(wanted, 10);
      expect([...s]).toEqual([...s].sort((a, b) => b - a));
    });
  });

  it('of a parent that is the shared expert has rank 0 and no vector moves', async () => {
    const shared = picoWeights(3);
    const still = { name: 'still', weights: shared };
    const [moved] = parentsOf(shared, 4);
    const mixture = await wholeMixture(shared, [still, moved!]);
    for (const [name, changes] of mixture.matrices) {
      expect(changes[0], name).toEqual({ rank: 0, left: new Float32Array(), right: new Float32Array() });
      expect(changes[1]!.rank, name).toBe(Math.min(...shared.get(name)!.shape));
    }
    for (const [name, { shared: own, changes }] of mixture.vectors) {
      expect(changes.subarray(0, own.length), name).toEqual(new Float32Array(own.length));
      expect(Math.max(...changes.subarray(own.length).map(Math.abs)), name).toBeGreaterThan(0);
    }
  });

  it('gives the same bits for the same seed, and other directions for another where not all are kept', async () => {
    const shared = picoWeights(3);
    const parents = parentsOf(shared, 4, 5);
    const cut = async (seed: number) => {
      const vectors = await decomposeExclusiveVectors(shared, parents, { maxRank: () => 1, seed });
      return vectors.mixture(chooseRanks(vectors.spectra, { kind: 'rank', rank: 1 }));
    };
    const [once, again, other] = [await cut(7), await cut(7), await cut(8)];
    expect(again).toEqual(once);
    expect(other.matrices.get(WORDS)).not.toEqual(once.matrices.get(WORDS));
    expect(other.vectors).toEqual(once.vectors);
  });

  it('gives a parent the same factors whatever its place and whoever the others are', async () => {
    const shared = picoWeights(3);
    const [one, two, three] = parentsOf(shared, 4, 5, 6);
    const cut = async (...parents: ParentWeights[]) => {
      const vectors = await decomposeExclusiveVectors(shared, parents, { maxRank: () => 1, seed: 7 });
      return vectors.mixture(chooseRanks(vectors.spectra, { kind: 'rank', rank: 1 })).matrices;
    };
    const among = await cut(one!, two!, three!);
    const turned = await cut(three!, two!);
    for (const [name, changes] of among) {
      expect(turned.get(name)![1], name).toEqual(changes[1]);
      expect(turned.get(name)![0], name).toEqual(changes[2]);
    }
  });

  it('tells of every matrix of every parent, and stops where it is told to', async () => {
    const shared = picoWeights(3);
    const parents = parentsOf(shared, 4, 5);
    const told: [number, number][] = [];
    const maxRank = () => 1;
    await decomposeExclusiveVectors(shared, parents, {
      maxRank,
      seed: 1,
      onMatrix: (done, total) => told.push([done, total]),
    });
    const matrices = [...shared].filter(([name, { shape }]) => shape.length === 2 && name !== TOKEN_TYPES);
    expect(told).toEqual(
      Array.from({ length: 2 * matrices.length }, (_, at) => [at + 1, 2 * matrices.length]),
    );
    const stop = (done: number) => {
      if (done === 3) throw new Error('stopped');
    };
    await expect(
      decomposeExclusiveVectors(shared, parents, { maxRank, seed: 1, onMatrix: stop }),
    ).rejects.toThrow('stopped');
  });

  type Spoil = (weights: Tensors) => void;
  const shape =
    (name: string, ...sizes: number[]): Spoil =>
    (weights) => {
      const length = sizes.reduce((product, size) => product * size, 1);
      weights.set(name, tensor('float32', sizes, new Float32Array(length)));
    };
  const value =
    (name: string, number: number): Spoil =>
    (weights) => {
      weights.get(name)!.data[3] = number;
    };
  const lacks =
    (name: string): Spoil =>
    (weights) => {
      weights.delete(name);
    };
  it.each<[string, Spoil, string]>([
    ['a tensor that is missing', lacks(QUERY), `has no tensor ${QUERY}`],
    ['another shape', shape(QUERY, 16, 8), `${QUERY} has the shape [16, 8] where the others have [16, 16]`],
    ['another vocabulary', shape(WORDS, 7, 16), `${WORDS} has the shape [7, 16]`],
    ['NaN in a matrix', value(QUERY, NaN), `${QUERY} holds NaN or infinity`],
    ['infinity in a vector', value(NORM, -Infinity), `${NORM} holds NaN or infinity`],
    ['a tensor too many', shape('pooler.dense.bias', 16), 'has a tensor pooler.dense.bias that the others'],
  ])('refuses %s, and names the parent and the tensor', async (_, spoil, message) => {
    const shared = picoWeights(3);
    const [good] = parentsOf(shared, 4);
    const weights = tuned(shared, 5);
    spoil(weights);
    const work = () => decomposed(shared, [good!, { name: 'parent-1', weights }]);
    await expect(work()).rejects.toThrow(expect.objectContaining({ code: 'COMPOSITION_REFUSED' }) as Error);
    await expect(work()).rejects.toThrow('parent-1 cannot be merged: it');
    await expect(work()).rejects.toThrow(message);
  });
});
