import { OrtRuntime } from '@thalamus/inference';
import {
  decodeModel,
  encodeModel,
  graphOf,
  WORD_PROJECTION,
  type Storage,
  type Weights,
} from '@thalamus/onnx-graph';
import { PICO_CONFIG, picoWeights } from '@thalamus/testing';
import { asFloat32, createRandom, tensor } from '@thalamus/tensor';
import { afterAll, describe, expect, it } from 'vitest';
import { withMaskedLmHead } from '../methods/train-masked-lm.js';
import { MASKED_LM_HEAD, maskedLmGraph, readMaskedLmGraph, TRAINING_VALUES } from './encoder-graph.js';

const WORDS = 'embeddings.word_embeddings.weight';
const POSITIONS = 'embeddings.position_embeddings.weight';
const WHOLE: Storage = { kind: 'int8', blockSize: 16, wordBlockSize: 8, isWhole: true };

const runtime = new OrtRuntime();
afterAll(() => runtime.close());

/** An encoder with word embeddings of inner size 8 and a head whose bias is of some size. */
function narrowWeights(): Weights {
  const random = createRandom(9);
  const { hiddenSize } = PICO_CONFIG;
  const [vocabulary = 0] = picoWeights().get(WORDS)!.shape;
  const made = (shape: readonly number[], spread: number) => {
    const size = shape.reduce((product, dim) => product * dim, 1);
    return tensor(
      'float32',
      shape,
      Float32Array.from({ length: size }, () => spread * random.normal()),
    );
  };
  const frequencies = Float32Array.from({ length: vocabulary }, () => -4 + random.normal());
  return new Map(withMaskedLmHead(picoWeights(), hiddenSize, frequencies, 0))
    .set(WORDS, made([vocabulary, 8], 1))
    .set(WORD_PROJECTION, made([hiddenSize, 8], 0.4));
}

async function logitsOf(weights: Weights, storage: Storage): Promise<Float32Array> {
  const bytes = encodeModel(maskedLmGraph(PICO_CONFIG, weights, storage));
  // Without rewriting, so that the runtime does not put a faster kernel with rounded inputs in its place.
  const session = await runtime.load({ bytes }, { optimisation: 'basic' });
  const ints = (shape: number[], values: number[]) =>
    tensor('int64', shape, BigInt64Array.from(values, BigInt));
  const outputs = await session.run(
    {
      [TRAINING_VALUES.inputIds]: ints([2, 4], [2, 7, 11, 3, 2, 45, 3, 0]),
      [TRAINING_VALUES.attentionMask]: ints([2, 4], [1, 1, 1, 1, 1, 1, 1, 0]),
      [TRAINING_VALUES.positions]: ints([3], [1, 2, 5]),
    },
    { outputs: [TRAINING_VALUES.logits] },
  );
  await session.release();
  return asFloat32(outputs[TRAINING_VALUES.logits], TRAINING_VALUES.logits).data;
}

describe('a masked-LM graph of which everything is small', () => {
  const weights = narrowWeights();
  const model = decodeModel(encodeModel(maskedLmGraph(PICO_CONFIG, weights, WHOLE)));
  const read = readMaskedLmGraph(model);

  it('holds no float32 matrix, and one scale for each word', () => {
    const FLOAT32 = 1;
    const { initializer } = graphOf(model);
    const matrices = initializer.filter(
      ({ dataType, dims, name }) => dataType === FLOAT32 && dims.length > 1 && !name.endsWith('.scale'),
    );
    expect(matrices.map(({ name }) => name)).toEqual([]);
    const scale = initializer.find(({ name }) => name === `${WORDS}.scale`);
    expect(scale?.dims.map(Number)).toEqual([weights.get(WORDS)!.shape[0], 1]);
  });

  it('is read back within half a step of every block', () => {
    expect(read.config).toEqual(PICO_CONFIG);
    for (const name of [WORDS, WORD_PROJECTION, MASKED_LM_HEAD.dense, MASKED_LM_HEAD.bias]) {
      const expected = weights.get(name)!;
      const largest = Math.max(...expected.data.map(Math.abs));
      expect(read.weights.get(name)?.shape, name).toEqual(expected.shape);
      read.weights.get(name)!.data.forEach((value, at) => {
        // A scale clips at most 4.2 % of the largest element of its block.
        expect(Math.abs(value - expected.data[at]!), name).toBeLessThan(0.043 * largest);
      });
    }
    const types = weights.get('embeddings.token_type_embeddings.weight')!.data;
    const { hiddenSize } = PICO_CONFIG;
    read.weights.get(POSITIONS)!.data.forEach((value, at) => {
      const expected = weights.get(POSITIONS)!.data[at]! + types[at % hiddenSize]!;
      expect(Math.abs(value - expected)).toBeLessThan(0.043 * 2);
    });
  });

  it('computes with the weights that are read back', async () => {
    const stored = await logitsOf(weights, WHOLE);
    const plain = await logitsOf(read.weights, { kind: 'float32' });
    const largest = Math.max(...stored.map((value, at) => Math.abs(value - plain[at]!)));
    expect(largest).toBeLessThan(2e-4);
    const exact = await logitsOf(weights, { kind: 'float32' });
    expect(Math.max(...stored.map((value, at) => Math.abs(value - exact[at]!)))).toBeGreaterThan(1e-3);
  });

  it('refuses a graph without a head', () => {
    const encoder = graphOf(model).initializer.filter(({ name }) => !name.startsWith('cls.'));
    const without = { ...model, graph: { ...graphOf(model), initializer: encoder } };
    expect(() => readMaskedLmGraph(without)).toThrow(/cls\.predictions/);
  });
});
