import { encodeModel, GraphBuilder, graphOf, type OnnxModel } from '@thalamus/onnx-graph';
import { tensor } from '@thalamus/tensor';
import { readFileSync } from 'node:fs';
// eslint-disable-next-line @nx/enforce-module-boundaries -- the oracle of the specs: the library itself never loads it
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import {
  adamWStep,
  differentiate,
  nextName,
  sgdStep,
  STEP_VALUES,
  stepTensors,
  trainingStep,
  writeMeanSquaredError,
  type SteppedParameter,
} from '../src/index.js';

type Numbers = Readonly<Record<string, readonly number[]>>;
type Steps = readonly { readonly norm: number; readonly values: Numbers }[];

type Run =
  | {
      readonly kind: 'adamw';
      readonly name: string;
      readonly beta1: number;
      readonly beta2: number;
      readonly epsilon: number;
      readonly steps: Steps;
    }
  | {
      readonly kind: 'sgd';
      readonly name: string;
      readonly momentum: number;
      readonly nesterov: boolean;
      readonly steps: Steps;
    };

interface Golden {
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  readonly groups: Readonly<Record<string, { readonly rateFactor: number; readonly decay: number }>>;
  readonly rates: readonly number[];
  readonly clipNorm: number;
  readonly start: Numbers;
  readonly gradients: readonly Numbers[];
  readonly runs: readonly Run[];
}

const GOLDEN = JSON.parse(
  readFileSync(new URL('../golden/optimiser-steps.json', import.meta.url), 'utf8'),
) as Golden;
const PARAMETERS: readonly SteppedParameter[] = Object.entries(GOLDEN.shapes).map(([name, shape]) => ({
  name,
  shape,
  ...GOLDEN.groups[name],
}));

type Feeds = Record<string, Tensor>;
const float32 = (values: readonly number[], shape: readonly number[]) =>
  new Tensor('float32', Float32Array.from(values), [...shape]);
const scalar = (value: number) => float32([value], []);
const open = (model: OnnxModel) =>
  InferenceSession.create(encodeModel(model), { intraOpNumThreads: 1, logSeverityLevel: 4 });

/** Zero moments and the first values, as far as a graph takes them. */
function startOf(model: OnnxModel): Feeds {
  const wanted = new Set(graphOf(model).input.map(({ name }) => name));
  const state = PARAMETERS.flatMap(({ name, shape }) => {
    const { value, first, second } = stepTensors(name);
    const zeros = GOLDEN.start[name]!.map(() => 0);
    return [
      [value, float32(GOLDEN.start[name]!, shape)],
      [first, float32(zeros, shape)],
      [second, float32(zeros, shape)],
    ] as const;
  });
  return Object.fromEntries(state.filter(([name]) => wanted.has(name)));
}

describe('optimiser steps', () => {
  it.each(GOLDEN.runs)('$name follows PyTorch in float64 to 2e-6', async (run) => {
    const settings = { ...run, clipNorm: GOLDEN.clipNorm };
    const model = run.kind === 'adamw' ? adamWStep(PARAMETERS, settings) : sgdStep(PARAMETERS, settings);
    const session = await open(model);
    let state = startOf(model);
    for (const [at, { norm, values }] of run.steps.entries()) {
      const feeds: Feeds = { ...state, [STEP_VALUES.rate]: scalar(GOLDEN.rates[at]!) };
      if (run.kind === 'adamw') feeds[STEP_VALUES.step] = new Tensor('int64', [BigInt(at + 1)], []);
      for (const { name, shape } of PARAMETERS)
        feeds[stepTensors(name).gradient] = float32(GOLDEN.gradients[at]![name]!, shape);
      const outputs = await session.run(feeds);
      expect(outputs[STEP_VALUES.gradientNorm]!.data[0]).toBeCloseTo(norm, 5);
      state = Object.fromEntries(Object.keys(state).map((name) => [name, outputs[nextName(name)]!]));
      for (const [name, wanted] of Object.entries(values)) {
        const found = Array.from(state[name]!.data as Float32Array);
        const off = Math.max(...wanted.map((value, i) => Math.abs(value - found[i]!)));
        expect(off, `${name} after step ${at + 1}`).toBeLessThan(2e-6);
      }
    }
    await session.release();
  });

  it('one graph of gradients and step gives what both give by turns', async () => {
    const b = new GraphBuilder();
    const x = b.input('input', 'float32', ['rows', 3]);
    const matrix = b.constant(
      'matrix',
      tensor('float32', [3, 4], Float32Array.from(GOLDEN.start['matrix']!)),
    );
    const vector = b.constant('vector', tensor('float32', [4], Float32Array.from(GOLDEN.start['vector']!)));
    const y = b.node('Add', [b.node('MatMul', [x, matrix]), vector]);
    const target = b.constant('target', tensor('float32', [], Float32Array.of(1)));
    const loss = writeMeanSquaredError(b, y, target);
    const gradients = differentiate(b.build({ name: 'line' }), { loss, trainable: ['matrix', 'vector'] });
    const step = adamWStep(PARAMETERS, { clipNorm: 0.5 });
    const [one, two, both] = await Promise.all([
      open(gradients),
      open(step),
      open(trainingStep(gradients, step)),
    ]);
    const input = float32([1, 2, -1, 0.5, 1, 3], [2, 3]);
    const state = startOf(step);
    const own = { [STEP_VALUES.rate]: scalar(0.1), [STEP_VALUES.step]: new Tensor('int64', [1n], []) };
    const { [loss]: lossThere, ...found } = await one.run({
      input,
      matrix: state['matrix']!,
      vector: state['vector']!,
    });
    const wanted = await two.run({ ...state, ...own, ...found });
    const joined = await both.run({ input, ...state, ...own });
    expect(Object.keys(joined).sort()).toEqual([loss, ...Object.keys(wanted)].sort());
    expect(joined[loss]!.data).toEqual(lossThere!.data);
    for (const [name, value] of Object.entries(wanted)) expect(joined[name]!.data, name).toEqual(value.data);
    await Promise.all([one, two, both].map((session) => session.release()));
  });

  it('says by its norm that a gradient is not finite', async () => {
    const session = await open(sgdStep([{ name: 'x', shape: [2] }], { clipNorm: 1 }));
    for (const bad of [NaN, Infinity]) {
      const feeds = { x: float32([1, 2], [2]), [stepTensors('x').gradient]: float32([0, bad], [2]) };
      const outputs = await session.run({ ...feeds, [STEP_VALUES.rate]: scalar(0.1) });
      expect(Number.isFinite(outputs[STEP_VALUES.gradientNorm]!.data[0])).toBe(false);
    }
    await session.release();
  });

  it('refuses settings out of range by name', () => {
    const one = [{ name: 'x', shape: [1] }];
    expect(() => adamWStep([])).toThrow(/nothing to step/);
    expect(() => adamWStep(one, { beta1: 1 })).toThrow(/beta1 is 1/);
    expect(() => adamWStep(one, { beta2: -0.1 })).toThrow(/beta2 is -0.1/);
    expect(() => adamWStep(one, { epsilon: 0 })).toThrow(/epsilon is 0/);
    expect(() => adamWStep(one, { clipNorm: 0 })).toThrow(/clipNorm is 0/);
    expect(() => adamWStep([{ ...one[0]!, decay: -1 }])).toThrow(/decay of x is -1/);
    expect(() => sgdStep([{ ...one[0]!, rateFactor: NaN }])).toThrow(/rateFactor of x is NaN/);
    expect(() => sgdStep(one, { momentum: 1.5 })).toThrow(/momentum is 1.5/);
    expect(() => sgdStep(one, { nesterov: true })).toThrow(/nesterov needs a momentum/);
  });
});
