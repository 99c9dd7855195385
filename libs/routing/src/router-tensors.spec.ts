import { createRandom } from '@thalamus/tensor';
import { describe, expect, it } from 'vitest';
import type { LossHeads, SingleLossHeads } from './loss-heads.js';
import { projectedRows } from './nearest-losses.js';
import { predictLosses } from './predict-losses.js';
import { encoderFromTensors, encoderTensors, headsFromTensors, headTensors } from './router-tensors.js';

const random = createRandom(5);
const values = (count: number) => Float32Array.from({ length: count }, () => random.normal());
const dimension = 4;
const candidates = 3;

const linear: SingleLossHeads = { kind: 'linear', dimension, weights: values(12), bias: values(3) };
const nearest: SingleLossHeads = {
  kind: 'nearest',
  dimension,
  candidates,
  projected: 2,
  projection: values(8),
  keys: projectedRows(values(20), {
    projection: Float32Array.of(1, 0, 0, 0, 0, 1, 0, 0),
    projected: 2,
    dimension,
  }),
  values: values(15),
  neighbours: 2,
  temperature: 0.5,
};
const HEADS: readonly LossHeads[] = [
  linear,
  {
    kind: 'mlp',
    dimension,
    hiddenWeights: values(8),
    hiddenBias: values(2),
    weights: values(6),
    bias: values(3),
  },
  {
    kind: 'gated',
    dimension,
    gateWeights: values(8),
    gateBias: values(2),
    weights: values(18),
    bias: values(3),
  },
  nearest,
  {
    kind: 'average',
    dimension,
    parts: [
      { share: 0.25, heads: linear },
      { share: 0.75, heads: nearest },
    ],
  },
];

describe('head tensors', () => {
  it.each(HEADS.map((heads) => [heads.kind, heads] as const))(
    'of %s heads give the same heads back',
    (_, heads) => {
      const { facts, tensors } = headTensors(heads);
      const byName = new Map(tensors.map((item) => [item.name, item]));
      expect(byName.size).toBe(tensors.length);
      const read = (name: string, shape: readonly number[]) => {
        const found = byName.get(name)!;
        expect(found.shape).toHaveLength(shape.length);
        shape.forEach((size, axis) => size >= 0 && expect(found.shape[axis]).toBe(size));
        return found.values;
      };
      expect(headsFromTensors(facts, { dimension, candidates }, read)).toEqual(heads);
    },
  );
});

describe('nearest heads', () => {
  it('average the nearest rows by exp(cosine / temperature)', () => {
    const heads = {
      kind: 'nearest',
      dimension: 2,
      candidates: 1,
      projected: 2,
      projection: Float32Array.of(1, 0, 0, 1),
      keys: Float32Array.of(1, 0, 0.6, 0.8, 0, 1, -1, 0),
      values: Float32Array.of(10, 20, 40, 1000),
      neighbours: 3,
      temperature: 0.5,
    } as const;
    const weights = [1, 0.6, 0].map((cosine) => Math.exp(cosine / 0.5));
    const expected =
      (10 * weights[0]! + 20 * weights[1]! + 40 * weights[2]!) / (weights[0]! + weights[1]! + weights[2]!);
    // The length of the vector does not count.
    for (const scale of [1, 7])
      expect(predictLosses(heads, Float32Array.of(scale, 0))[0]).toBeCloseTo(expected, 4);
    expect(predictLosses({ ...heads, neighbours: 99 }, Float32Array.of(1, 0))[0]).toBeGreaterThan(expected);
  });

  it('agree with a plain sort for many rows', () => {
    const rows = 200;
    const keys = projectedRows(values(rows * 3), {
      projection: Float32Array.of(1, 0, 0, 0, 1, 0, 0, 0, 1),
      projected: 3,
      dimension: 3,
    });
    const heads = {
      kind: 'nearest',
      dimension: 3,
      candidates: 1,
      projected: 3,
      projection: Float32Array.of(1, 0, 0, 0, 1, 0, 0, 0, 1),
      keys,
      values: values(rows),
      neighbours: 17,
      temperature: 0.1,
    } as const;
    const query = projectedRows(values(3), heads);
    const cosines = Array.from({ length: rows }, (_, row) =>
      keys.subarray(3 * row, 3 * row + 3).reduce((sum, value, at) => sum + value * query[at]!, 0),
    );
    const near = cosines
      .map((cosine, row) => ({ cosine, row }))
      .sort((a, b) => b.cosine - a.cosine)
      .slice(0, 17);
    const total = near.reduce((sum, { cosine }) => sum + Math.exp(cosine / 0.1), 0);
    const expected = near.reduce(
      (sum, { cosine, row }) => sum + (Math.exp(cosine / 0.1) / total) * heads.values[row]!,
      0,
    );
    expect(predictLosses(heads, query)[0]).toBeCloseTo(expected, 4);
  });

  it('refuse keys and values of other sizes', () => {
    expect(() => predictLosses({ ...nearest, values: values(14) }, values(4))).toThrow(/do not fit/);
  });
});

it('average heads are the weighed mean of their parts', () => {
  const asked = values(8);
  const [a, b] = [predictLosses(linear, asked), predictLosses(nearest, asked)];
  predictLosses(HEADS[4]!, asked).forEach((loss, at) => {
    expect(loss).toBeCloseTo(0.25 * a[at]! + 0.75 * b[at]!, 5);
  });
});

it('encoder tables come back from their tensors', () => {
  const scale = { mean: values(12), deviation: values(12) };
  const spec = {
    blocks: [
      { kind: 'grams', width: 2, weight: 1 },
      { kind: 'prompt', width: 12, weight: 0.5 },
    ] as const,
    tokens: undefined,
    grams: { table: values(10), rows: 5, width: 2 },
    scale,
  };
  const tensors = new Map(encoderTensors(spec).map((item) => [item.name, item.values]));
  expect(encoderFromTensors(spec, (name) => tensors.get(name)!)).toEqual(spec);
});
