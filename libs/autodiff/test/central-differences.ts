import {
  encodeModel,
  GraphBuilder,
  type AttributeValue,
  type OnnxModel,
  type ValueName,
} from '@thalamus/onnx-graph';
import { createRandom, tensor, type Random } from '@thalamus/tensor';
// eslint-disable-next-line @nx/enforce-module-boundaries -- the oracle of the specs: the library itself never loads it
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { expect } from 'vitest';
import { differentiate, gradientName, type FloatType } from '../src/index.js';

/** Writes the graph of a case in one element type. */
export class CaseWriter {
  constructor(
    readonly builder: GraphBuilder,
    readonly elementType: FloatType,
  ) {}

  op(
    operator: string,
    inputs: readonly ValueName[],
    attributes: Readonly<Record<string, AttributeValue>> = {},
  ): ValueName {
    return this.builder.node(operator, inputs, { attributes });
  }

  ints(...values: readonly number[]): ValueName {
    return this.whole([values.length], values);
  }

  whole(shape: readonly number[], values: readonly number[]): ValueName {
    return this.builder.constant('ints', tensor('int64', shape, BigInt64Array.from(values, BigInt)));
  }

  numbers(shape: readonly number[], values: readonly number[]): ValueName {
    const made =
      this.elementType === 'float32'
        ? tensor('float32', shape, Float32Array.from(values))
        : tensor('float64', shape, Float64Array.from(values));
    return this.builder.constant('numbers', made);
  }

  truths(shape: readonly number[], values: readonly boolean[]): ValueName {
    return this.builder.constant('truths', tensor('bool', shape, Uint8Array.from(values, Number)));
  }
}

/** A graph from trained values to one result of any shape. */
export interface Instance {
  readonly shapes: readonly (readonly number[])[];
  readonly write: (w: CaseWriter, x: readonly ValueName[]) => ValueName;
  /**
   * Where values are drawn from: normal; `positive` ones of at least a half; `distinct`, which keep a sixteenth from each other
   * and from zero, for functions with corners.
   */
  readonly domain?: 'positive' | 'distinct';
  /** Element type for operators that ONNX Runtime has in one only. Default: float64, and float32 against it. */
  readonly only?: 'float32';
}

interface Value {
  readonly name: string;
  readonly shape: readonly number[];
  /** Each a float32 number. */
  readonly data: Float64Array;
}

/**
 * Step and tolerance of the five-point difference (8 (f(+h) - f(-h)) - (f(+2h) - f(-2h))) / 12 h. Its error is h^4 f''''' / 30 from
 * the step and about 1.5 u |f| / h from rounding, u being half a unit in the last place.
 *
 * float64, u = 1.1e-16, h = 2^-10: 3e-14 f''''' + 2e-13 |f|. With derivatives up to 10^3 that stays below 1e-9.
 * float32, u = 6e-8, h = 2^-4: 5e-7 f''''' + 2e-6 |f|, the kernel's own error of about a unit included: below 3e-5 for values around 1,
 * with inputs on a grid of 2^-8, so that no step is rounded.
 */
const DIFFERENCES = {
  float64: { step: 2 ** -10, tolerance: 1e-9 },
  float32: { step: 2 ** -4, tolerance: 3e-5 },
} as const;

/** A gradient in float32 against the same graph in float64: some tens of roundings of 6e-8, relative to its largest element. */
const FLOAT32_TOLERANCE = 5e-6;

/** Holds every element of every gradient of an instance against central differences, and float32 against float64. */
export async function checkGradients(instance: Instance, seed: number): Promise<void> {
  const random = createRandom(seed);
  const values = drawValues(instance, random);
  const type = instance.only ?? 'float64';
  const forward = await open(buildForward(instance, values, type));
  try {
    const { length } = await forward(values, type).then((outputs) => outputs['flat']!.data);
    const weights = Array.from({ length }, () => (0.5 + random.next()) * (random.next() < 0.5 ? -1 : 1));
    const lossOf = async (given: readonly Value[]) => {
      const result = (await forward(given, type))['flat']!.data as Float64Array;
      return weights.reduce((sum, weight, at) => sum + weight * result[at]!, 0);
    };
    const gradients = await gradientsOf(instance, values, weights, type);
    for (const value of values) await compare(value, values, gradients.get(value.name)!, lossOf, type);
    if (type === 'float64') {
      const single = await gradientsOf(instance, values, weights, 'float32');
      for (const { name } of values) closeTo(single.get(name)!, gradients.get(name)!, name);
    }
  } finally {
    await forward.release();
  }
}

/** Result and gradients of a graph in float64 at given values; of a result of several elements the gradients of its sum. */
export async function evaluate(
  { shapes, write }: Instance,
  data: readonly (readonly number[])[],
): Promise<{ readonly result: number[]; readonly gradients: number[][] }> {
  const values = shapes.map((shape, at) => ({
    name: `x${at}`,
    shape,
    data: Float64Array.from(data[at]!),
  }));
  const forward = await open(buildForward({ shapes, write }, values, 'float64'));
  const result = Array.from((await forward(values, 'float64'))['flat']!.data as Float64Array);
  await forward.release();
  const gradients = await gradientsOf(
    { shapes, write },
    values,
    result.map(() => 1),
    'float64',
  );
  return { result, gradients: values.map(({ name }) => gradients.get(name)!) };
}

async function compare(
  value: Value,
  all: readonly Value[],
  gradient: readonly number[],
  lossOf: (values: readonly Value[]) => Promise<number>,
  type: FloatType,
): Promise<void> {
  const { step, tolerance } = DIFFERENCES[type];
  expect(gradient, `${value.name}: elements`).toHaveLength(value.data.length);
  for (let i = 0; i < gradient.length; i++) {
    const lossAt = (steps: number) => {
      const data = value.data.slice();
      data[i]! += steps * step;
      return lossOf(all.map((other) => (other === value ? { ...value, data } : other)));
    };
    const near = (await lossAt(1)) - (await lossAt(-1));
    const far = (await lossAt(2)) - (await lossAt(-2));
    const slope = (8 * near - far) / (12 * step);
    const off = Math.abs(gradient[i]! - slope) / Math.max(1, Math.abs(slope));
    const said = `${value.name}[${i}] of [${value.shape.join()}]: ${gradient[i]} against ${slope}`;
    expect(off, said).toBeLessThan(tolerance);
  }
}

function closeTo(single: readonly number[], double: readonly number[], name: string): void {
  const scale = Math.max(1, ...double.map(Math.abs));
  const off = Math.max(0, ...double.map((value, at) => Math.abs(value - single[at]!)));
  // NaN is not below anything.
  expect(off / scale, `${name} in float32`).toBeLessThan(FLOAT32_TOLERANCE);
}

function drawValues({ shapes, domain, only }: Instance, random: Random): Value[] {
  const sizes = shapes.map((shape) => shape.reduce((all, size) => all * size, 1));
  const count = sizes.reduce((all, size) => all + size, 0);
  const places = random.shuffle(Array.from({ length: count }, (_, at) => at - Math.floor(count / 2)));
  const draw = () => {
    if (domain === 'distinct') return places.pop()! / 8 + 1 / 16;
    const value = random.normal();
    const grid = only === 'float32' ? 2 ** -8 : 2 ** -20;
    return Math.round((domain === 'positive' ? 0.5 + Math.abs(value) : value) / grid) * grid;
  };
  return shapes.map((shape, at) => ({
    name: `x${at}`,
    shape,
    data: Float64Array.from({ length: sizes[at]! }, () => Math.fround(draw())),
  }));
}

function buildForward(instance: Instance, values: readonly Value[], type: FloatType): OnnxModel {
  const w = new CaseWriter(new GraphBuilder(), type);
  const names = values.map(({ name, shape }) => w.builder.input(name, type, shape));
  const flat = w.builder.node('Reshape', [instance.write(w, names), w.ints(-1)], { name: 'flat' });
  w.builder.output(flat, type, ['elements']);
  return w.builder.build({ name: 'forward' });
}

/** Gradients of the weighted sum of the result. */
async function gradientsOf(
  instance: Instance,
  values: readonly Value[],
  weights: readonly number[],
  type: FloatType,
): Promise<Map<string, number[]>> {
  const w = new CaseWriter(new GraphBuilder(), type);
  const names = values.map(({ name, shape, data }) =>
    w.builder.constant(
      name,
      type === 'float32' ? tensor(type, shape, Float32Array.from(data)) : tensor(type, shape, data),
    ),
  );
  const flat = w.op('Reshape', [instance.write(w, names), w.ints(-1)]);
  const weighted = w.op('Mul', [flat, w.numbers([weights.length], weights)]);
  const loss = w.op('ReduceSum', [weighted], { keepdims: 0 });
  const run = await open(differentiate(w.builder.build({ name: 'case' }), { loss, trainable: names }));
  try {
    const outputs = await run(values, type);
    return new Map(
      values.map(({ name, shape }) => {
        const gradient = outputs[gradientName(name)]!;
        expect(gradient.dims, `shape of the gradient of ${name}`).toEqual([...shape]);
        return [name, Array.from(gradient.data as Float64Array)];
      }),
    );
  } finally {
    await run.release();
  }
}

async function open(model: OnnxModel) {
  const session = await InferenceSession.create(encodeModel(model), {
    intraOpNumThreads: 1,
    logSeverityLevel: 4,
  });
  const wanted = new Set(session.inputNames);
  const run = (values: readonly Value[], type: FloatType) => {
    const feeds = values
      .filter(({ name }) => wanted.has(name))
      .map(({ name, shape, data }) => [
        name,
        type === 'float32'
          ? new Tensor(type, Float32Array.from(data), [...shape])
          : new Tensor(type, data, [...shape]),
      ]);
    return session.run(Object.fromEntries(feeds) as Record<string, Tensor>);
  };
  return Object.assign(run, { release: () => session.release() });
}
