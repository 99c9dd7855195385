import { rowOf, type Matrix64, type MultiplyMatrices } from './matrix-products.js';
import { orthonormalise } from './orthonormalise.js';
import type { Random } from './random.js';

/** Share of the largest pivot below which rows count as dependent: then products alone would lose too many digits. */
const LEAST_PIVOT = 1e-10;

/** What rows are made orthonormal with. */
export interface RowTools {
  readonly multiply: MultiplyMatrices;
  /** Draws what stands for rows that depend on others. */
  readonly random: Random;
}

/**
 * Rows that span what the given ones span, orthonormal: the inverse of the Cholesky factor of S S^T times S, twice (CholeskyQR2,
 * Fukaya and others 2014), which is products alone. Rows that nearly depend on one another are made so by Gram-Schmidt in place.
 */
export async function orthonormaliseRows(rows: Matrix64, { multiply, random }: RowTools): Promise<Matrix64> {
  let result = rows;
  for (let round = 0; round < 2; round++) {
    const inverse = inverseCholesky(await multiply(result, result, true), rows.rows);
    if (!inverse) {
      orthonormalise(
        Array.from({ length: rows.rows }, (_, at) => rowOf(result, at)),
        random,
      );
      return result;
    }
    result = { ...rows, data: await multiply(inverse, result, false) };
  }
  return result;
}

/** L^-1 of L L^T; undefined where a pivot is too small. */
function inverseCholesky(gram: Float64Array, size: number): Matrix64 | undefined {
  const factor = new Float64Array(size * size);
  let largest = 0;
  for (let i = 0; i < size; i++) largest = Math.max(largest, gram[i * size + i]!);
  for (let i = 0; i < size; i++)
    for (let j = 0; j <= i; j++) {
      let sum = gram[i * size + j]!;
      for (let k = 0; k < j; k++) sum -= factor[i * size + k]! * factor[j * size + k]!;
      if (i !== j) factor[i * size + j] = sum / factor[j * size + j]!;
      else if (sum > LEAST_PIVOT * largest) factor[i * size + i] = Math.sqrt(sum);
      else return undefined;
    }
  const inverse = new Float64Array(size * size);
  for (let column = 0; column < size; column++)
    for (let row = column; row < size; row++) {
      let sum = row === column ? 1 : 0;
      for (let k = column; k < row; k++) sum -= factor[row * size + k]! * inverse[k * size + column]!;
      inverse[row * size + column] = sum / factor[row * size + row]!;
    }
  return { rows: size, columns: size, data: inverse };
}
