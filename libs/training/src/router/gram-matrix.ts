/** Rows that are taken together, so that a sum is read and written once for all of them. */
const BLOCK = 4;

/** X^T X of rows [rows, dimension], whole and symmetric, summed in float64. */
export function gramMatrix(features: Float32Array, dimension: number): Float64Array {
  const gram = new Float64Array(dimension * dimension);
  const rows = features.length / dimension;
  const whole = rows - (rows % BLOCK);
  for (let row = 0; row < whole; row += BLOCK) {
    const a = row * dimension;
    const b = a + dimension;
    const c = b + dimension;
    const d = c + dimension;
    for (let i = 0; i < dimension; i++) {
      const [ai, bi, ci, di] = [features[a + i]!, features[b + i]!, features[c + i]!, features[d + i]!];
      const at = i * dimension;
      for (let j = 0; j <= i; j++)
        gram[at + j]! +=
          ai * features[a + j]! + bi * features[b + j]! + ci * features[c + j]! + di * features[d + j]!;
    }
  }
  for (let row = whole; row < rows; row++) {
    const a = row * dimension;
    for (let i = 0; i < dimension; i++)
      for (let j = 0; j <= i; j++) gram[i * dimension + j]! += features[a + i]! * features[a + j]!;
  }
  for (let i = 0; i < dimension; i++)
    for (let j = i + 1; j < dimension; j++) gram[i * dimension + j] = gram[j * dimension + i]!;
  return gram;
}
