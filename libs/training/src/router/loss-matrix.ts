import type { RoutingRow } from './routing-table.js';

/** Losses of rows as one matrix [rows, candidates], NaN where there is no result. */
export function lossMatrix(rows: readonly RoutingRow[], candidates: number): Float64Array {
  const losses = new Float64Array(rows.length * candidates);
  rows.forEach((row, at) => {
    losses.set(row.losses, at * candidates);
  });
  return losses;
}

/**
 * The same with a guess where there is no result: the mean of the model, plus by how much the prompt is harder than the mean
 * for the models that have a result (a model of rows plus columns). For fitting alone; nothing is judged on a guess.
 */
export function withGuesses(losses: Float64Array, candidates: number): Float64Array {
  if (!losses.some((loss) => Number.isNaN(loss))) return losses;
  const means = columnMeans(losses, candidates);
  const complete = losses.slice();
  for (let from = 0; from < losses.length; from += candidates) {
    let harder = 0;
    let known = 0;
    for (let k = 0; k < candidates; k++) {
      const loss = losses[from + k]!;
      if (Number.isNaN(loss)) continue;
      harder += loss - means[k]!;
      known += 1;
    }
    for (let k = 0; k < candidates; k++)
      if (Number.isNaN(losses[from + k]!))
        complete[from + k] = Math.max(0, means[k]! + (known > 0 ? harder / known : 0));
  }
  return complete;
}

/** Mean of each column over the results that there are; NaN for a column without any. */
export function columnMeans(losses: Float64Array, candidates: number): Float64Array {
  const sums = new Float64Array(candidates);
  const counts = new Float64Array(candidates);
  losses.forEach((loss, at) => {
    if (Number.isNaN(loss)) return;
    sums[at % candidates]! += loss;
    counts[at % candidates]! += 1;
  });
  return sums.map((sum, k) => sum / counts[k]!);
}

/** Rows of a matrix [rows, width] by index. */
export function pickRows<T extends Float32Array | Float64Array>(
  matrix: T,
  width: number,
  rows: readonly number[],
): T {
  const picked =
    matrix instanceof Float32Array
      ? new Float32Array(rows.length * width)
      : new Float64Array(rows.length * width);
  rows.forEach((row, at) => {
    picked.set(matrix.subarray(row * width, (row + 1) * width), at * width);
  });
  return picked as T;
}
