import {
  buildBertEncoder,
  encodeModel,
  GraphBuilder,
  quantiseBlocks,
  transpose,
  type OnnxModel,
  type Weights,
} from '@thalamus/onnx-graph';
import { PICO_CONFIG, picoEncoder, picoWeights } from '@thalamus/testing';
import {
  asFloat32,
  createRandom,
  encodeFloat16,
  decodeFloat16,
  tensor,
  type Tensor,
  type TensorOf,
} from '@thalamus/tensor';
import { afterAll, describe, expect, it } from 'vitest';
import { OrtRuntime, padTokens } from '../src/index.js';
import { referenceEmbedding } from './bert-reference.js';

const runtime = new OrtRuntime();
afterAll(() => runtime.close());

async function run(
  model: OnnxModel,
  feeds: Record<string, Tensor>,
  output: string,
): Promise<TensorOf<'float32'>> {
  const session = await runtime.load({ bytes: encodeModel(model) });
  const results = await session.run(feeds, { outputs: [output] });
  await session.release();
  return asFloat32(results[output], output);
}

const TEXTS = [
  [2, 85, 86, 3],
  [2, 7, 3],
  [2, 87, 88, 89, 90, 91, 11, 45, 46, 3],
];

const feedsOf = (texts: readonly (readonly number[])[]) => {
  const { inputIds, attentionMask } = padTokens(texts.map((ids) => ({ ids, truncated: false })));
  return { input_ids: inputIds, attention_mask: attentionMask };
};

const largestDifference = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Math.max(...Array.from(a, (value, i) => Math.abs(value - b[i]!)));

const rows = (matrix: TensorOf<'float32'>) =>
  Array.from({ length: matrix.shape[0]! }, (_, i) =>
    matrix.data.subarray(i * matrix.shape[1]!, (i + 1) * matrix.shape[1]!),
  );

/** The weights as a quantised model stores them: linear ones and the word embedding in blocks, the others as they are. */
function dequantised(weights: Weights, blockSize: number, float16: (name: string) => boolean): Weights {
  return new Map(
    [...weights].map(([name, value]) => {
      const isMatrix = value.shape.length === 2 && !/position|token_type/.test(name);
      if (!isMatrix) return [name, value];
      if (float16(name)) return [name, { ...value, data: decodeFloat16(encodeFloat16(value.data)) }];
      const { values, scales, columns } = quantiseBlocks(transpose(value), blockSize);
      const data = Float32Array.from(values, (q, at) => {
        const block = Math.floor(Math.floor(at / columns) / blockSize);
        return q * scales[block * columns + (at % columns)]!;
      });
      return [name, transpose(tensor('float32', [value.shape[1]!, value.shape[0]!], data))];
    }),
  );
}

describe('buildBertEncoder', () => {
  it('computes what the formulas say', async () => {
    const weights = picoWeights(3);
    const expected = TEXTS.map((ids) => referenceEmbedding(PICO_CONFIG, weights, ids));
    const feeds = feedsOf(TEXTS);
    const embedding = rows(await run(picoEncoder(3), feeds, 'embedding'));
    const pooled = rows(await run(picoEncoder(3), feeds, 'pooled'));
    expected.forEach((text, i) => {
      expect(largestDifference(embedding[i]!, text.embedding)).toBeLessThan(2e-6);
      expect(largestDifference(pooled[i]!, text.pooled)).toBeLessThan(1e-5);
    });
  });

  it('gives a text the same embedding alone and padded in a batch', async () => {
    const batch = rows(await run(picoEncoder(), feedsOf(TEXTS), 'embedding'));
    for (const [i, ids] of TEXTS.entries()) {
      const [alone] = rows(await run(picoEncoder(), feedsOf([ids]), 'embedding'));
      expect(largestDifference(batch[i]!, alone!)).toBeLessThan(1e-6);
    }
  });

  it('in int8 computes with the dequantised weights, and in float16 with the rounded ones', async () => {
    const weights = picoWeights(5);
    const float16 = (name: string) => name.includes('output.dense');
    for (const chosen of [() => false, float16]) {
      const stored = buildBertEncoder(PICO_CONFIG, weights, { kind: 'int8', blockSize: 16, float16: chosen });
      const plain = buildBertEncoder(PICO_CONFIG, dequantised(weights, 16, chosen), { kind: 'float32' });
      // Without rewriting, so that the runtime does not put a faster kernel with rounded inputs in its place.
      const session = await runtime.load({ bytes: encodeModel(stored) }, { optimisation: 'basic' });
      const { embedding } = await session.run(feedsOf(TEXTS), { outputs: ['embedding'] });
      const expected = await run(plain, feedsOf(TEXTS), 'embedding');
      expect(largestDifference(asFloat32(embedding, 'embedding').data, expected.data)).toBeLessThan(2e-6);
    }
  });

  it('says which weight is missing', () => {
    const weights = new Map(picoWeights());
    weights.delete('encoder.layer.1.output.dense.bias');
    expect(() => buildBertEncoder(PICO_CONFIG, weights, { kind: 'float32' })).toThrow(
      'hold no encoder.layer.1.output.dense.bias',
    );
  });
});

describe('quantiseBlocks', () => {
  it.each([16, 32])(
    'in blocks of %i dequantises in the runtime to value times scale, to the bit',
    async (blockSize) => {
      const random = createRandom(blockSize);
      const [height, width] = [64, 5];
      const matrix = tensor(
        'float32',
        [height, width],
        Float32Array.from({ length: height * width }, () => random.normal()),
      );
      const { values, scales } = quantiseBlocks(matrix, blockSize);
      const builder = new GraphBuilder();
      const stored = builder.constant('q', tensor('int8', [height, width], values));
      const scale = builder.constant('s', tensor('float32', [height / blockSize, width], scales));
      const zero = builder.input('zero', 'float32', []);
      const back = builder.node('DequantizeLinear', [stored, scale], {
        attributes: { axis: 0, block_size: blockSize },
      });
      builder.output(builder.node('Add', [back, zero], { name: 'y' }), 'float32', [height, width]);
      const y = await run(
        builder.build({ name: 'q' }),
        { zero: tensor('float32', [], new Float32Array(1)) },
        'y',
      );
      const expected = Float32Array.from(values, (q, at) => {
        const block = Math.floor(Math.floor(at / width) / blockSize);
        return Math.fround(q * scales[block * width + (at % width)]!);
      });
      expect(y.data).toEqual(expected);
    },
  );
});

describe('GraphBuilder.embed', () => {
  it('leaves what two embedded models compute as it was', async () => {
    const builder = new GraphBuilder();
    const ids = builder.input('input_ids', 'int64', ['batch', 'sequence']);
    const mask = builder.input('attention_mask', 'int64', ['batch', 'sequence']);
    const bindings = { input_ids: ids, attention_mask: mask };
    const left = builder.embed(picoEncoder(1), 'left/', bindings)['embedding']!;
    const right = builder.embed(picoEncoder(2), 'right/', bindings)['embedding']!;
    const both = builder.node('Concat', [left, right], { name: 'both', attributes: { axis: 1 } });
    builder.output(both, 'float32', ['batch', 32]);
    const together = rows(await run(builder.build({ name: 'both' }), feedsOf(TEXTS), 'both'));
    const alone = [
      rows(await run(picoEncoder(1), feedsOf(TEXTS), 'embedding')),
      rows(await run(picoEncoder(2), feedsOf(TEXTS), 'embedding')),
    ];
    together.forEach((row, i) => {
      expect(largestDifference(row, [...alone[0]![i]!, ...alone[1]![i]!])).toBeLessThan(1e-6);
    });
  });
});
