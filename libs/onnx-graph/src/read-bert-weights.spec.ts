import { createRandom, tensor, type TensorOf } from '@thalamus/tensor';
import { describe, expect, it } from 'vitest';
import { buildBertEncoder, transpose, WORD_PROJECTION, type BertConfig } from './bert-encoder.js';
import { GraphBuilder } from './graph-builder.js';
import { decodeModel, encodeModel } from './onnx-model.js';
import { quantiseBlocks } from './quantise.js';
import { readBertWeights } from './read-bert-weights.js';

const CONFIG: BertConfig = { hiddenSize: 32, layers: 1, heads: 2, maxPositions: 16, layerNormEpsilon: 1e-12 };

function weightsOf(config: BertConfig): Map<string, TensorOf<'float32'>> {
  const random = createRandom(3);
  const weights = new Map<string, TensorOf<'float32'>>();
  const add = (name: string, ...shape: number[]) =>
    weights.set(
      name,
      tensor(
        'float32',
        shape,
        Float32Array.from({ length: shape.reduce((a, b) => a * b) }, () => random.normal()),
      ),
    );
  const h = config.hiddenSize;
  add('embeddings.word_embeddings.weight', 40, h);
  add('embeddings.position_embeddings.weight', config.maxPositions, h);
  add('embeddings.token_type_embeddings.weight', 2, h);
  const norm = (prefix: string) => {
    add(`${prefix}.weight`, h);
    add(`${prefix}.bias`, h);
  };
  const linear = (prefix: string, inputs: number, outputs: number) => {
    add(`${prefix}.weight`, outputs, inputs);
    add(`${prefix}.bias`, outputs);
  };
  norm('embeddings.LayerNorm');
  for (const part of ['self.query', 'self.key', 'self.value', 'output.dense'])
    linear(`encoder.layer.0.attention.${part}`, h, h);
  norm('encoder.layer.0.attention.output.LayerNorm');
  linear('encoder.layer.0.intermediate.dense', h, 4 * h);
  linear('encoder.layer.0.output.dense', 4 * h, h);
  norm('encoder.layer.0.output.LayerNorm');
  return weights;
}

describe('readBertWeights', () => {
  const weights = weightsOf(CONFIG);

  it('gives back word embeddings in two factors', () => {
    const random = createRandom(4);
    const made = (...shape: [number, number]) =>
      tensor(
        'float32',
        shape,
        Float32Array.from({ length: shape[0] * shape[1] }, () => random.normal()),
      );
    const factors = new Map(weights)
      .set('embeddings.word_embeddings.weight', made(40, 16))
      .set(WORD_PROJECTION, made(32, 16));
    const read = readBertWeights(buildBertEncoder(CONFIG, factors, { kind: 'float32' }));
    expect(read.config).toEqual(CONFIG);
    for (const name of ['embeddings.word_embeddings.weight', WORD_PROJECTION])
      expect(read.weights.get(name), name).toEqual(factors.get(name));
  });

  it('gives back float32 weights as they were, token types added to the positions', () => {
    const model = decodeModel(
      Buffer.from(encodeModel(buildBertEncoder(CONFIG, weights, { kind: 'float32' }))),
    );
    const read = readBertWeights(model);
    expect(read.config).toEqual(CONFIG);
    for (const [name, value] of weights) {
      if (name.includes('position') || name.includes('token_type')) continue;
      expect(read.weights.get(name), name).toEqual(value);
    }
    const again = buildBertEncoder(read.config, read.weights, { kind: 'float32' });
    expect(Buffer.compare(encodeModel(again), encodeModel(model))).toBe(0);
  });

  it('multiplies int8 blocks with their scales along the right axis, and widens float16', () => {
    const half = 'encoder.layer.0.attention.self.value.weight';
    const model = buildBertEncoder(CONFIG, weights, {
      kind: 'int8',
      blockSize: 16,
      float16: (name) => name === half,
    });
    const read = readBertWeights(model).weights;
    const linear = 'encoder.layer.0.intermediate.dense.weight';
    const { values, scales, columns } = quantiseBlocks(transpose(weights.get(linear)!), 16);
    for (const [row, column] of [
      [0, 0],
      [15, 3],
      [16, 3],
      [31, 127],
    ] as const)
      expect(read.get(linear)!.data[column * 32 + row]).toBe(
        Math.fround(values[row * columns + column]! * scales[Math.floor(row / 16) * columns + column]!),
      );
    const words = 'embeddings.word_embeddings.weight';
    weights.get(words)!.data.forEach((value, at) => {
      expect(Math.abs(read.get(words)!.data[at]! - value)).toBeLessThan(0.05);
    });
    weights.get(half)!.data.forEach((value, at) => {
      expect(Math.abs(read.get(half)!.data[at]! - value)).toBeLessThanOrEqual(
        Math.abs(value) * 2 ** -11 + 1e-7,
      );
    });
  });

  it('refuses a graph that is no encoder of ours', () => {
    expect(() => readBertWeights(new GraphBuilder().build({ name: 'other' }))).toThrow(
      /word_embeddings.*convert-base/,
    );
  });

  it('are not stored as float16 that has no place for them, and the tensor is named', () => {
    const name = 'encoder.layer.0.output.dense.weight';
    const store = (value: number) => {
      const weights = weightsOf(CONFIG);
      weights.get(name)!.data[5] = value;
      return buildBertEncoder(CONFIG, weights, { kind: 'float16' });
    };
    expect(readBertWeights(store(65_504)).weights.get(name)!.data[5]).toBe(65_504);
    for (const value of [65_520, -1e9, Infinity, NaN])
      expect(() => store(value)).toThrow(`${name} holds ${value}, which float16 cannot`);
  });
});
