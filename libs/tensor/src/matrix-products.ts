import { dot } from './vector.js';

/** A matrix of float64, row-major. */
export interface Matrix64 {
  readonly rows: number;
  readonly columns: number;
  readonly data: Float64Array;
}

/**
 * Products of matrices: a port, since kernels have no runtime of their own. Equal input must give equal bits.
 * `isTransposed`: left · right^T, [left.rows, right.rows]; else left · right, [left.rows, right.columns].
 */
export type MultiplyMatrices = (
  left: Matrix64,
  right: Matrix64,
  isTransposed: boolean,
) => Promise<Float64Array>;

/** Products in JavaScript, where there is no runtime. */
export const multiplyPlainly: MultiplyMatrices = (left, right, isTransposed) =>
  Promise.resolve(isTransposed ? timesTransposed(left, right) : times(left, right));

function timesTransposed(left: Matrix64, right: Matrix64): Float64Array {
  const result = new Float64Array(left.rows * right.rows);
  for (let at = 0; at < right.rows; at++) {
    const column = rowOf(right, at);
    for (let row = 0; row < left.rows; row++) result[row * right.rows + at] = dot(rowOf(left, row), column);
  }
  return result;
}

function times(left: Matrix64, right: Matrix64): Float64Array {
  const { columns } = right;
  const result = new Float64Array(left.rows * columns);
  for (let at = 0; at < right.rows; at++) {
    const values = rowOf(right, at);
    for (let row = 0; row < left.rows; row++) {
      const factor = left.data[row * left.columns + at]!;
      const into = row * columns;
      for (let column = 0; column < columns; column++) result[into + column]! += factor * values[column]!;
    }
  }
  return result;
}

/** A row as it lies in the matrix. */
export function rowOf({ columns, data }: Matrix64, row: number): Float64Array {
  return data.subarray(row * columns, (row + 1) * columns);
}
