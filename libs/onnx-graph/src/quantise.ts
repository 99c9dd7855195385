import { ThalamusError } from '@thalamus/errors';
import type { TensorOf } from '@thalamus/tensor';

/** A matrix in symmetric int8 with one float32 scale for each block of `blockSize` rows in a column. */
export interface QuantisedMatrix {
  /** [rows, columns] */
  readonly values: Int8Array;
  /** [rows / blockSize, columns] */
  readonly scales: Float32Array;
  readonly rows: number;
  readonly columns: number;
  readonly blockSize: number;
}

/**
 * Quantises a matrix [rows, columns] in blocks along its rows, the form that DequantizeLinear-21 takes with axis 0. Each
 * block's scale is the one of seven candidates around max/127 with the least squared error.
 * @throws TENSOR_INVALID for a shape that cannot be cut so, and for elements that are not finite
 */
export function quantiseBlocks(matrix: TensorOf<'float32'>, blockSize: number): QuantisedMatrix {
  const [rows = 0, columns = 0] = matrix.shape;
  if (matrix.shape.length !== 2 || !Number.isInteger(blockSize) || blockSize < 1 || rows % blockSize !== 0) {
    throw new ThalamusError(
      'TENSOR_INVALID',
      `A matrix of shape [${matrix.shape.join(', ')}] cannot be cut into blocks of ${blockSize} rows.`,
    );
  }
  const values = new Int8Array(rows * columns);
  const scales = new Float32Array((rows / blockSize) * columns);
  const block = new Float64Array(blockSize);
  for (let top = 0; top < rows; top += blockSize) {
    for (let column = 0; column < columns; column++) {
      for (let i = 0; i < blockSize; i++) block[i] = matrix.data[(top + i) * columns + column]!;
      const scale = bestScale(block);
      scales[(top / blockSize) * columns + column] = scale;
      for (let i = 0; i < blockSize; i++)
        values[(top + i) * columns + column] = clamp(Math.round(block[i]! / scale));
    }
  }
  return { values, scales, rows, columns, blockSize };
}

const SHRINK = [1, 0.995, 0.99, 0.985, 0.98, 0.97, 0.96];

function bestScale(block: Float64Array): number {
  let largest = 0;
  for (const value of block) largest = Math.max(largest, Math.abs(value));
  if (!Number.isFinite(largest))
    throw new ThalamusError(
      'TENSOR_INVALID',
      'A matrix with infinite or undefined elements cannot be quantised.',
    );
  // Also for blocks so small that no float32 scale is left: they become zero.
  if (Math.fround((largest * 0.96) / 127) === 0) return 1;
  let best = 0;
  let least = Infinity;
  for (const factor of SHRINK) {
    const scale = Math.fround((largest * factor) / 127);
    let error = 0;
    for (const value of block) error += (value - scale * clamp(Math.round(value / scale))) ** 2;
    if (error < least) {
      least = error;
      best = scale;
    }
  }
  return best;
}

function clamp(value: number): number {
  return Math.max(-127, Math.min(127, value));
}
