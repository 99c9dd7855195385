import { decodeModel, encodeModel, GraphBuilder, type OnnxModel, type ValueName } from '@thalamus/onnx-graph';
import { createRandom, tensor } from '@thalamus/tensor';
import fc from 'fast-check';
// eslint-disable-next-line @nx/enforce-module-boundaries -- the oracle of the spec: the library itself never loads it
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { differentiate, gradientName } from './differentiate.js';
import { writeCrossEntropy } from './write-cross-entropy.js';

type Values = Record<string, { readonly shape: readonly number[]; readonly data: Float32Array }>;

interface Case {
  readonly name: string;
  /** Shapes of the trainable values. */
  readonly shapes: (sizes: readonly number[]) => readonly (readonly number[])[];
  /** Writes from the trainable values to one result of any shape. */
  readonly write: (b: GraphBuilder, x: readonly ValueName[], sizes: readonly number[]) => ValueName;
  /** Keeps values away from where the function is steep or has no derivative. */
  readonly domain?: (value: number) => number;
}

const ints = (b: GraphBuilder, ...values: number[]) =>
  b.constant('ints', tensor('int64', [values.length], BigInt64Array.from(values, BigInt)));
const positive = (value: number) => 0.5 + Math.abs(value);
const unary = (operator: string, domain?: (value: number) => number): Case => ({
  name: operator,
  shapes: ([a = 1, b = 1]) => [[a, b]],
  write: (b, [x = '']) => b.node(operator, [x]),
  ...(domain ? { domain } : {}),
});
const binary = (
  operator: string,
  left: (s: readonly number[]) => number[],
  right: (s: readonly number[]) => number[],
  domain?: (value: number) => number,
): Case => ({
  name: `${operator} ${left([2, 3, 4]).join('x')} with ${right([2, 3, 4]).join('x')}`,
  shapes: (s) => [left(s), right(s)],
  write: (b, [x = '', y = '']) => b.node(operator, [x, y]),
  ...(domain ? { domain } : {}),
});
const whole = ([a = 1, b = 1, c = 1]: readonly number[]) => [a, b, c];
const vector = ([, , c = 1]: readonly number[]) => [c];
const column = ([, b = 1]: readonly number[]) => [b, 1];
const spread = (value: number) => value + Math.sign(value || 1) * 0.3;

const CASES: readonly Case[] = [
  ...['Identity', 'Neg', 'Exp', 'Tanh', 'Sigmoid', 'Erf', 'Gelu'].map((name) => unary(name)),
  ...['Log', 'Sqrt'].map((name) => unary(name, positive)),
  ...['Relu', 'Abs'].map((name) => unary(name, spread)),
  ...['Add', 'Sub', 'Mul'].flatMap((name) => [
    binary(name, whole, whole),
    binary(name, whole, vector),
    binary(name, vector, whole),
    binary(name, whole, column),
    binary(name, column, vector),
    binary(name, whole, () => []),
  ]),
  binary('Div', whole, column, positive),
  binary('Div', vector, whole, positive),
  {
    name: 'Max',
    shapes: (s) => [whole(s), vector(s)],
    // Eighths against eighths and a half: nowhere equal.
    write: (b, [x = '', y = '']) => {
      const gap = b.constant('gap', tensor('float32', [], Float32Array.of(1 / 16)));
      return b.node('Max', [x, b.node('Add', [y, gap])]);
    },
    domain: (value) => Math.round(value * 8) / 8,
  },
  binary(
    'MatMul',
    ([a = 1, b = 1]) => [a, b],
    ([, b = 1, c = 1]) => [b, c],
  ),
  binary('MatMul', whole, ([, , c = 1]) => [c, 2]),
  binary('MatMul', whole, ([a = 1, , c = 1]) => [a, c, 2]),
  binary(
    'MatMul',
    ([a = 1, b = 1, c = 1]) => [2, a, b, c],
    ([a = 1, , c = 1]) => [2, a, c, 3],
  ),
  binary(
    'MatMul',
    ([a = 1, b = 1]) => [a, b],
    ([, b = 1]) => [2, b, 3],
  ),
  binary(
    'MatMul',
    ([a = 1, b = 1]) => [1, a, b],
    ([, b = 1, c = 1]) => [c, b, 2],
  ),
  binary(
    'MatMul',
    ([a = 1, b = 1, c = 1]) => [c, a, b],
    ([, b = 1]) => [1, b, 2],
  ),
  {
    ...unary('Gelu'),
    name: 'Gelu, tanh, where it differs most from the exact one',
    write: (b, [x = '']) => {
      const y = b.node('Gelu', [x], { attributes: { approximate: 'tanh' } });
      return b.node('Mul', [y, b.constant('hundred', tensor('float32', [], Float32Array.of(100)))]);
    },
    domain: (value) => Math.sign(value || 1) * (2.4 + 0.1 * Math.tanh(value)),
  },
  {
    name: 'Max of three',
    shapes: (s) => [whole(s), vector(s), column(s)],
    write: (b, [x = '', y = '', z = '']) => {
      const gap = (size: number) => b.constant('gap', tensor('float32', [], Float32Array.of(size)));
      return b.node('Max', [x, b.node('Add', [y, gap(1 / 24)]), b.node('Sub', [z, gap(1 / 24)])]);
    },
    domain: (value) => Math.round(value * 8) / 8,
  },
  {
    name: 'a mask made of the trained values themselves',
    shapes: (s) => [whole(s)],
    write: (b, [x = '']) => {
      const zero = b.constant('zero', tensor('float32', [], new Float32Array(1)));
      const isPositive = b.node('Not', [b.node('LessOrEqual', [x, zero])]);
      return b.node('Mul', [b.node('Cast', [isPositive], { attributes: { to: 1 } }), b.node('Mul', [x, x])]);
    },
    domain: spread,
  },
  ...['Softmax', 'LogSoftmax'].map((name) => ({
    ...unary(name),
    write: (b: GraphBuilder, [x = '']: readonly ValueName[]) =>
      b.node(name, [x], { attributes: { axis: -1 } }),
  })),
  {
    name: 'LayerNormalization',
    shapes: ([a = 1, b = 1, c = 1]) => [[a, b, c + 2], [c + 2], [c + 2]],
    write: (b, x) => b.node('LayerNormalization', x, { attributes: { axis: -1, epsilon: { float: 0.1 } } }),
  },
  {
    name: 'Reshape, Transpose',
    shapes: (s) => [whole(s)],
    write: (b, [x = ''], [, , c = 1]) =>
      b.node('Transpose', [b.node('Reshape', [x, ints(b, -1, c)])], { attributes: { perm: [1, 0] } }),
  },
  {
    name: 'Unsqueeze, Squeeze',
    shapes: (s) => [whole(s)],
    write: (b, [x = '']) => b.node('Squeeze', [b.node('Unsqueeze', [x, ints(b, -1, 1)]), ints(b, 1)]),
  },
  ...['ReduceSum', 'ReduceMean', 'ReduceL2'].flatMap((operator) =>
    [0, 1].map((keepdims) => ({
      name: `${operator} keepdims ${keepdims}`,
      shapes: (s: readonly number[]) => [whole(s)],
      write: (b: GraphBuilder, [x = '']: readonly ValueName[]) =>
        b.node(operator, [x, ints(b, 0, -1)], { attributes: { keepdims } }),
      domain: positive,
    })),
  ),
  {
    name: 'Gather with repeated rows',
    shapes: ([a = 1, b = 1]) => [[a, b]],
    write: (b, [x = ''], [a = 1]) => {
      const rows = tensor('int64', [2, 3], BigInt64Array.from([0, a - 1, 0, 0, a - 1, 0], BigInt));
      return b.node('Gather', [x, b.constant('rows', rows)]);
    },
  },
  {
    name: 'Slice',
    shapes: ([a = 1, b = 1]) => [[a + 2, b]],
    write: (b, [x = '']) => b.node('Slice', [x, ints(b, 1), ints(b, -1), ints(b, 0)]),
  },
  {
    name: 'Concat',
    shapes: ([a = 1, b = 1, c = 1]) => [
      [a, b],
      [a, c],
    ],
    write: (b, x) => b.node('Concat', x, { attributes: { axis: -1 } }),
  },
  {
    name: 'Where',
    shapes: (s) => [whole(s), vector(s)],
    write: (b, [x = '', y = '']) =>
      b.node('Where', [
        b.node('Greater', [
          b.constant('c', tensor('float32', [2], Float32Array.of(1, 0))),
          b.constant('z', tensor('float32', [], Float32Array.of(0.5))),
        ]),
        x,
        y,
      ]),
  },
  {
    name: 'cross-entropy',
    shapes: ([a = 1, b = 1]) => [[a, b + 1]],
    write: (b, [x = ''], [a = 1]) =>
      writeCrossEntropy(
        b,
        x,
        b.constant(
          'labels',
          tensor(
            'int64',
            [a],
            new BigInt64Array(a).map((_, k) => BigInt(k % 2)),
          ),
        ),
      ),
  },
  {
    name: 'a value that is used three times',
    shapes: (s) => [vector(s)],
    write: (b, [x = '']) => b.node('Add', [b.node('Mul', [x, x]), b.node('Tanh', [x])]),
  },
];

/** Loss: the sum of the result times fixed random weights, so that no gradient cancels. */
function build(item: Case, sizes: readonly number[], values: Values): OnnxModel {
  const b = new GraphBuilder();
  const names = Object.entries(values).map(([name, { shape, data }]) =>
    b.constant(name, tensor('float32', shape, data)),
  );
  const result = item.write(b, names, sizes);
  const flat = b.node('Reshape', [result, ints(b, 1, -1)]);
  const count = 4096;
  const random = createRandom(99);
  const weights = b.constant(
    'weights',
    tensor(
      'float32',
      [count],
      Float32Array.from({ length: count }, () => random.next() + 0.5),
    ),
  );
  const size = b.node('Reshape', [b.node('Size', [result]), ints(b, 1)]);
  const own = b.node('Slice', [weights, ints(b, 0), size, ints(b, 0)]);
  const loss = b.node('ReduceSum', [b.node('Mul', [flat, own])], {
    name: 'loss_of_case',
    attributes: { keepdims: 0 },
  });
  b.output(loss, 'float32', []);
  return b.build({ name: 'case' });
}

async function run(model: OnnxModel, values: Values) {
  const session = await InferenceSession.create(encodeModel(model), { intraOpNumThreads: 1 });
  const wanted = new Set(session.inputNames);
  const feeds = Object.fromEntries(
    Object.entries(values)
      .filter(([name]) => wanted.has(name))
      .map(([name, { shape, data }]) => [name, new Tensor('float32', data, [...shape])]),
  );
  const outputs = await session.run(feeds);
  await session.release();
  return outputs;
}

describe('differentiate', () => {
  it.each(CASES)('$name: gradients equal central differences', async (item) => {
    await fc.assert(
      fc.asyncProperty(
        fc.tuple(fc.constantFrom(2), fc.integer({ min: 1, max: 4 }), fc.constantFrom(2)),
        fc.integer({ min: 0, max: 1000 }),
        async (sizes, seed) => {
          const random = createRandom(seed);
          const values: Values = Object.fromEntries(
            item.shapes(sizes).map((shape, index) => [
              `x${index}`,
              {
                shape,
                data: Float32Array.from({ length: shape.reduce((all, size) => all * size, 1) }, () => {
                  const value = random.normal();
                  return item.domain ? item.domain(value) : value;
                }),
              },
            ]),
          );
          const model = build(item, sizes, values);
          const gradients = await run(
            differentiate(decodeModel(encodeModel(model)), {
              loss: 'loss_of_case',
              trainable: Object.keys(values),
            }),
            values,
          );
          const h = 2 ** -7;
          for (const [name, { shape, data }] of Object.entries(values)) {
            const gradient = gradients[gradientName(name)]!;
            expect(gradient.dims).toEqual([...shape]);
            for (let i = 0; i < data.length; i += Math.max(1, Math.floor(data.length / 5))) {
              const lossAt = async (delta: number) => {
                const moved = data.slice();
                moved[i]! += delta;
                const given = { ...values, [name]: { shape, data: moved } };
                return (await run(build(item, sizes, given), {}))['loss_of_case']!.data[0] as number;
              };
              const slope = ((await lossAt(h)) - (await lossAt(-h))) / (2 * h);
              expect(gradient.data[i] as number).toBeCloseTo(slope, 2);
              expect(Math.abs((gradient.data[i] as number) - slope)).toBeLessThan(
                2e-3 * Math.max(1, Math.abs(slope)) + 2e-3,
              );
            }
          }
        },
      ),
      { seed: 20_261_125, numRuns: 4 },
    );
  });

  it('names node and operator that it has no rule for', () => {
    const b = new GraphBuilder();
    const x = b.constant('x', tensor('float32', [2], new Float32Array(2)));
    b.output(b.node('Cosh', [x], { name: 'y' }), 'float32', [2]);
    expect(() => differentiate(b.build({ name: 'odd' }), { loss: 'y', trainable: ['x'] })).toThrow(
      /Node Cosh_0 uses the operator Cosh, which has no gradient/,
    );
  });

  it('refuses a further output of a node that the loss uses', () => {
    const b = new GraphBuilder();
    const x = b.constant('x', tensor('float32', [2, 3], new Float32Array(6)));
    const gain = b.constant('gain', tensor('float32', [3], new Float32Array(3)));
    const [y = '', mean = ''] = b.nodeWithOutputs('LayerNormalization', [x, gain], ['y', 'mean']);
    const sum = b.node('ReduceSum', [b.node('Add', [y, mean])], { name: 'z', attributes: { keepdims: 0 } });
    b.output(sum, 'float32', []);
    expect(() => differentiate(b.build({ name: 'm' }), { loss: 'z', trainable: ['x'] })).toThrow(
      /LayerNormalization_0 \(LayerNormalization\) is used by its further output mean/,
    );
  });

  it('refuses a trained value that is cast to another float type', () => {
    const b = new GraphBuilder();
    const x = b.constant('x', tensor('float32', [], new Float32Array(1)));
    const wide = b.node('Cast', [x], { attributes: { to: 11 } });
    b.output(b.node('Cast', [wide], { name: 'y', attributes: { to: 1 } }), 'float32', []);
    expect(() => differentiate(b.build({ name: 'm' }), { loss: 'y', trainable: ['x'] })).toThrow(
      /Cast_0 \(Cast\) turns a trained value into element type 11/,
    );
  });

  it('refuses what the loss does not depend on, and what is no float32 constant', () => {
    const b = new GraphBuilder();
    const x = b.constant('x', tensor('float32', [], new Float32Array(1)));
    b.constant('unused', tensor('float32', [], new Float32Array(1)));
    b.output(b.node('Neg', [x], { name: 'y' }), 'float32', []);
    const model = b.build({ name: 'm' });
    expect(() => differentiate(model, { loss: 'y', trainable: ['unused'] })).toThrow(/does not depend/);
    expect(() => differentiate(model, { loss: 'y', trainable: ['x', 'unused'] })).toThrow(
      /does not depend on unused/,
    );
    expect(() => differentiate(model, { loss: 'y', trainable: ['z'] })).toThrow(/z is no float32 constant/);
  });
});
