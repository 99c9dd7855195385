import {
  addMixture,
  buildBertEncoder,
  encodeModel,
  MIXTURE_INPUTS,
  readBertWeights,
  type MatrixChange,
  type Mixture,
  type OnnxModel,
  type Storage,
  type VectorChange,
} from '@thalamus/onnx-graph';
import { asFloat32, createRandom, decodeFloat16, encodeFloat16, tensor, type Random } from '@thalamus/tensor';
import { picoEncoder } from '@thalamus/testing';
import { afterAll, describe, expect, it } from 'vitest';
import { OrtRuntime } from '../src/ort-runtime.js';

const runtime = new OrtRuntime();
afterAll(() => runtime.close());

const PARENTS = 3;
const STORAGES: readonly Storage[] = [
  { kind: 'float32' },
  { kind: 'float16' },
  { kind: 'int8', blockSize: 16 },
];

function randomMixture(model: OnnxModel, random: Random): Mixture {
  const { weights } = readBertWeights(model);
  const numbers = (length: number) =>
    decodeFloat16(encodeFloat16(Float32Array.from({ length }, () => 0.3 * random.normal())));
  const matrices = new Map<string, readonly MatrixChange[]>();
  const vectors = new Map<string, VectorChange>();
  for (const [name, { shape, data }] of weights) {
    if (name.includes('token_type')) continue;
    const [rows = 0, columns = 0] = shape;
    if (shape.length === 1) vectors.set(name, { shared: data, changes: numbers(PARENTS * rows) });
    else
      // Ranks differ, and one parent leaves the matrix as it is.
      matrices.set(
        name,
        [2, 0, 3].map((rank) => ({ rank, left: numbers(rows * rank), right: numbers(rank * columns) })),
      );
  }
  return { parents: PARENTS, matrices, vectors };
}

/** The weights that a text with these weights of parents is run through. */
function materialised(model: OnnxModel, mixture: Mixture, w: readonly number[]) {
  const { config, weights } = readBertWeights(model);
  const result = new Map(weights);
  for (const [name, changes] of mixture.matrices) {
    const { shape, data } = weights.get(name)!;
    const [rows = 0, columns = 0] = shape;
    const sum = data.slice();
    changes.forEach(({ rank, left, right }, parent) => {
      for (let row = 0; row < rows; row++)
        for (let k = 0; k < rank; k++)
          for (let column = 0; column < columns; column++)
            sum[row * columns + column]! += w[parent]! * left[row * rank + k]! * right[k * columns + column]!;
    });
    result.set(name, tensor('float32', shape, sum));
  }
  for (const [name, { shared, changes }] of mixture.vectors) {
    const sum = shared.map((value, i) =>
      w.reduce((total, factor, parent) => total + factor * changes[parent * shared.length + i]!, value),
    );
    result.set(name, tensor('float32', [shared.length], sum));
  }
  return buildBertEncoder(config, result, { kind: 'float32' });
}

async function embed(model: OnnxModel, feeds: Parameters<Awaited<ReturnType<OrtRuntime['load']>>['run']>[0]) {
  const session = await runtime.load({ bytes: encodeModel(model) }, { threads: 1 });
  const { embedding } = await session.run(feeds, { outputs: ['embedding'] });
  await session.release();
  return asFloat32(embedding, 'embedding').data;
}

const tokens = (ids: readonly (readonly number[])[]) => {
  const length = Math.max(...ids.map((row) => row.length));
  const fill = (of: (row: readonly number[], at: number) => number) =>
    tensor(
      'int64',
      [ids.length, length],
      BigInt64Array.from(ids.flatMap((row) => Array.from({ length }, (_, at) => BigInt(of(row, at))))),
    );
  return {
    input_ids: fill((row, at) => row[at] ?? 0),
    attention_mask: fill((row, at) => (at < row.length ? 1 : 0)),
  };
};

describe('addMixture', () => {
  const texts = [[1, 5, 7, 2], [3, 3], [9, 4, 1, 8, 6, 2], [2]];
  const weights = [
    [0.2, 0.5, 0.3],
    [1, 0, 0],
    [0, 0.25, 0.75],
    [0, 0, 0],
  ];

  it.each(
    STORAGES.flatMap((storage) => [1, 2, undefined].map((top) => ({ storage, top, kind: storage.kind }))),
  )(
    'runs every row of a batch through weights of its own: $kind, at most $top parents a text',
    async ({ storage, top }) => {
      const encoder = picoEncoder(7, storage);
      const mixture = randomMixture(encoder, createRandom(3));
      // Weights beyond the heaviest count for nothing where a number is fixed.
      const order = weights.map((w) => w.map((_, parent) => parent).sort((a, b) => w[b]! - w[a]! || a - b));
      const heaviest = order.map((parents) => parents.slice(0, top));
      const kept = weights.map((w, row) =>
        w.map((value, parent) => (heaviest[row]!.includes(parent) ? value : 0)),
      );
      const flat = BigInt64Array.from(heaviest.flat(), BigInt);
      const feeds = {
        ...tokens(texts),
        [MIXTURE_INPUTS.weights]: tensor('float32', [texts.length, PARENTS], Float32Array.from(kept.flat())),
        ...(top === undefined ? {} : { [MIXTURE_INPUTS.top]: tensor('int64', [texts.length, top], flat) }),
      };
      const mixed = await embed(addMixture(encoder, mixture, { top }), feeds);
      const width = mixed.length / texts.length;
      for (const [row, text] of texts.entries()) {
        const alone = await embed(materialised(encoder, mixture, kept[row]!), tokens([text]));
        const off = alone.map((value, i) => Math.abs(value - mixed[row * width + i]!));
        expect(Math.max(...off)).toBeLessThan(storage.kind === 'int8' ? 2e-2 : 2e-5);
      }
    },
  );

  it('differs from the shared encoder, which it leaves as it was', async () => {
    const encoder = picoEncoder(7);
    const before = encodeModel(encoder);
    const mixed = addMixture(encoder, randomMixture(encoder, createRandom(3)));
    const one = tensor('float32', [1, PARENTS], new Float32Array([0, 0, 1]));
    const with3 = await embed(mixed, { ...tokens([[1, 5]]), [MIXTURE_INPUTS.weights]: one });
    const shared = await embed(encoder, tokens([[1, 5]]));
    expect(Math.max(...shared.map((value, i) => Math.abs(value - with3[i]!)))).toBeGreaterThan(0.05);
    expect(encodeModel(encoder)).toEqual(before);
  });

  it('refuses changes of matrices that the encoder does not have, or not of that shape', () => {
    const encoder = picoEncoder(7);
    const change = (rank: number, size: number): MatrixChange[] =>
      Array.from({ length: PARENTS }, () => ({
        rank,
        left: new Float32Array(rank * size),
        right: new Float32Array(rank * size),
      }));
    const query = 'encoder.layer.0.attention.self.query.weight';
    const of = (name: string, changes: MatrixChange[]) => () =>
      addMixture(encoder, { parents: PARENTS, matrices: new Map([[name, changes]]), vectors: new Map() });
    expect(of('encoder.layer.9.output.dense.weight', change(1, 16))).toThrow('does not have');
    expect(of(query, change(1, 17))).toThrow('17 and 17 numbers');
    expect(of(query, change(17, 16))).toThrow('rank 17');
    expect(of(query, change(1, 16).slice(1))).toThrow('2 changes for 3 parents');
    const far = change(1, 16);
    far[1]!.right[3] = -70_000;
    expect(of(query, far)).toThrow(
      `Parent 1 is too far from the shared expert: the factors of ${query} hold -70000`,
    );
  });
});
