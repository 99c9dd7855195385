import { ThalamusError } from '@thalamus/errors';
import { createRandom, tensor } from '@thalamus/tensor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { quantiseBlocks, type QuantisedMatrix } from './quantise.js';

/** DequantizeLinear-21 with axis 0: value times the scale of its block. */
function dequantise({ values, scales, columns, blockSize }: QuantisedMatrix): Float64Array {
  return Float64Array.from(values, (value, index) => {
    const row = Math.floor(index / columns);
    return value * scales[Math.floor(row / blockSize) * columns + (index % columns)]!;
  });
}

const normalMatrix = (rows: number, columns: number, seed: number) => {
  const random = createRandom(seed);
  return tensor(
    'float32',
    [rows, columns],
    Float32Array.from({ length: rows * columns }, () => random.normal()),
  );
};

describe('quantiseBlocks', () => {
  it('is off by at most half a step, or by what the clipped largest element loses', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(1, 2, 4, 8),
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: -30, max: 30 }),
        fc.nat(),
        (blockSize, blocks, columns, exponent, seed) => {
          const plain = normalMatrix(blockSize * blocks, columns, seed);
          const matrix = tensor(
            'float32',
            plain.shape,
            plain.data.map((value) => value * 2 ** exponent),
          );
          const quantised = quantiseBlocks(matrix, blockSize);
          const back = dequantise(quantised);
          back.forEach((value, index) => {
            const scale =
              quantised.scales[
                Math.floor(Math.floor(index / columns) / blockSize) * columns + (index % columns)
              ]!;
            const original = matrix.data[index]!;
            const clipped = Math.max(0, Math.abs(original) - 127 * scale);
            expect(clipped).toBeLessThanOrEqual(0.0418 * Math.abs(original));
            expect(Math.abs(value - original)).toBeLessThanOrEqual(clipped + scale * 0.500001);
          });
        },
      ),
      { seed: 7, numRuns: 150 },
    );
  });

  it('never has a larger squared error than plain max/127', () => {
    const matrix = normalMatrix(64, 5, 3);
    const error = (back: Float64Array) =>
      back.reduce((sum, value, i) => sum + (value - matrix.data[i]!) ** 2, 0);
    const plain = new Float64Array(matrix.data.length);
    for (let top = 0; top < 64; top += 32) {
      for (let column = 0; column < 5; column++) {
        const rows = Array.from({ length: 32 }, (_, i) => (top + i) * 5 + column);
        const scale = Math.fround(Math.max(...rows.map((at) => Math.abs(matrix.data[at]!))) / 127);
        for (const at of rows) plain[at] = scale * Math.round(matrix.data[at]! / scale);
      }
    }
    expect(error(dequantise(quantiseBlocks(matrix, 32)))).toBeLessThanOrEqual(error(plain));
  });

  it('is exact for whole multiples of a step, keeps zeros, and turns what no scale can express into zeros', () => {
    const steps = tensor('float32', [4, 1], new Float32Array([127, -127, 3, 0]));
    expect([...dequantise(quantiseBlocks(steps, 4))]).toEqual([127, -127, 3, 0]);
    const zeros = quantiseBlocks(tensor('float32', [2, 2], new Float32Array(4)), 2);
    expect([...zeros.values, ...zeros.scales]).toEqual([0, 0, 0, 0, 1, 1]);
    const tiny = quantiseBlocks(tensor('float32', [2, 1], new Float32Array([1e-45, -1e-45])), 2);
    expect([...dequantise(tiny)].map(Math.abs)).toEqual([0, 0]);
  });

  it('refuses shapes that cannot be cut and elements that are not finite', () => {
    const code = (work: () => unknown) => {
      try {
        work();
      } catch (error) {
        if (ThalamusError.is(error)) return error.code;
      }
      throw new Error('nothing was refused');
    };
    const matrix = normalMatrix(4, 2, 1);
    for (const blockSize of [3, 0, -2, 1.5])
      expect(code(() => quantiseBlocks(matrix, blockSize))).toBe('TENSOR_INVALID');
    expect(code(() => quantiseBlocks(tensor('float32', [4], new Float32Array(4)), 2))).toBe('TENSOR_INVALID');
    for (const value of [NaN, Infinity]) {
      expect(code(() => quantiseBlocks(tensor('float32', [2, 1], new Float32Array([1, value])), 2))).toBe(
        'TENSOR_INVALID',
      );
    }
  });
});
