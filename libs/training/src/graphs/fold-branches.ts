import type { LowRankFactors } from '@thalamus/bundle';
import type { Weights } from '@thalamus/onnx-graph';
import { tensor } from '@thalamus/tensor';

/** Weights with the branches added in: a graph of these answers as the base with branches does. Sums in float64. */
export function foldBranches(
  weights: Weights,
  factors: readonly LowRankFactors[],
  scale: number,
): Map<string, ReturnType<Weights['get']> & object> {
  const folded = new Map(weights);
  for (const { layer, a, b, rank, inputs, outputs } of factors) {
    const name = `${layer}.weight`;
    const data = weights.get(name)!.data.slice();
    const row = new Float64Array(inputs);
    for (let out = 0; out < outputs; out++) {
      row.fill(0);
      for (let k = 0; k < rank; k++) {
        const factor = scale * b[out * rank + k]!;
        for (let i = 0; i < inputs; i++) row[i]! += factor * a[k * inputs + i]!;
      }
      for (let i = 0; i < inputs; i++) data[out * inputs + i]! += row[i]!;
    }
    folded.set(name, tensor('float32', [outputs, inputs], data));
  }
  return folded;
}

/** Rows become columns: [rows, columns] row-major to [columns, rows]. */
export function transposed(values: Float32Array, rows: number, columns: number): Float32Array {
  const result = new Float32Array(values.length);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++)
      result[column * rows + row] = values[row * columns + column]!;
  return result;
}
