import { ThalamusError } from '@thalamus/errors';
import type { LinearLossHeads } from '@thalamus/routing';
import { gramMatrix } from './router/gram-matrix.js';

/** Prompts with measured losses. */
export interface LossRows {
  /** float32 [rows, dimension], L2-normalised. */
  readonly features: Float32Array;
  readonly dimension: number;
  /** [rows, candidates], row-major. */
  readonly losses: Float64Array;
  readonly candidates: number;
}

/** Number of rows. */
export function rowCount(rows: LossRows): number {
  return rows.features.length / rows.dimension;
}

/**
 * Ridge regression of each candidate's loss on the embedding, solved exactly by Cholesky. `l2` is relative to the mean
 * square error; the bias is not penalised. TENSOR_INVALID when the system is not positive definite.
 */
export function fitLinearLosses(rows: LossRows, l2: number): LinearLossHeads {
  return fitLinearPath(rows, [l2])[0]!;
}

/** The same for several `l2`: what depends on the rows alone is computed once. */
export function fitLinearPath(rows: LossRows, l2s: readonly number[]): LinearLossHeads[] {
  const { features, dimension, losses, candidates } = rows;
  const n = rowCount(rows);
  const size = dimension + 1;
  const gram = new Float64Array(size * size);
  const inner = gramMatrix(features, dimension);
  for (let i = 0; i < dimension; i++) gram.set(inner.subarray(i * dimension, (i + 1) * dimension), i * size);
  const right = new Float64Array(size * candidates);
  for (let row = 0; row < n; row++) {
    for (let i = 0; i < size; i++) {
      const xi = i < dimension ? features[row * dimension + i]! : 1;
      gram[dimension * size + i]! += xi;
      for (let k = 0; k < candidates; k++) right[i * candidates + k]! += xi * losses[row * candidates + k]!;
    }
  }
  return l2s.map((l2) => {
    const penalised = gram.slice();
    for (let i = 0; i < dimension; i++) penalised[i * size + i]! += l2 * n;
    const solution = solveCholesky(penalised, right.slice(), size, candidates);
    const weights = new Float32Array(candidates * dimension);
    const bias = new Float32Array(candidates);
    for (let k = 0; k < candidates; k++) {
      for (let i = 0; i < dimension; i++) weights[k * dimension + i] = solution[i * candidates + k]!;
      bias[k] = solution[dimension * candidates + k]!;
    }
    return { kind: 'linear', dimension, weights, bias };
  });
}

/** Solves A X = B for symmetric positive definite A (lower triangle given, overwritten); B is overwritten with X. */
function solveCholesky(a: Float64Array, b: Float64Array, size: number, columns: number): Float64Array {
  for (let i = 0; i < size; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = a[i * size + j]!;
      for (let k = 0; k < j; k++) sum -= a[i * size + k]! * a[j * size + k]!;
      if (i !== j) a[i * size + j] = sum / a[j * size + j]!;
      else if (sum > 0) a[i * size + i] = Math.sqrt(sum);
      else {
        throw new ThalamusError(
          'TENSOR_INVALID',
          'The loss rows do not determine a linear head; use more rows or a larger l2.',
        );
      }
    }
  }
  for (let column = 0; column < columns; column++) {
    for (let i = 0; i < size; i++) {
      let sum = b[i * columns + column]!;
      for (let k = 0; k < i; k++) sum -= a[i * size + k]! * b[k * columns + column]!;
      b[i * columns + column] = sum / a[i * size + i]!;
    }
    for (let i = size - 1; i >= 0; i--) {
      let sum = b[i * columns + column]!;
      for (let k = i + 1; k < size; k++) sum -= a[k * size + i]! * b[k * columns + column]!;
      b[i * columns + column] = sum / a[i * size + i]!;
    }
  }
  return b;
}
