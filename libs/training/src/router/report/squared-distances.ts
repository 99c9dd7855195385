/** Squared Euclidean distances of the rows of a matrix [rows, dimension]: [rows, rows], in float64. */
export function squaredDistances(features: ArrayLike<number>, dimension: number): Float64Array {
  const n = features.length / dimension;
  const distances = new Float64Array(n * n);
  for (let i = 0; i < n; i++)
    for (let j = i + 1; j < n; j++) {
      let sum = 0;
      for (let at = 0; at < dimension; at++) {
        const difference = features[i * dimension + at]! - features[j * dimension + at]!;
        sum += difference * difference;
      }
      distances[i * n + j] = sum;
      distances[j * n + i] = sum;
    }
  return distances;
}

/** The `count` nearest other rows of each row, nearest first; the earlier of equals. */
export function nearestRows(distances: Float64Array, count: number): number[][] {
  const n = Math.sqrt(distances.length);
  return Array.from({ length: n }, (_, row) => {
    const own = distances.subarray(row * n, (row + 1) * n);
    return Array.from({ length: n }, (__, at) => at)
      .filter((at) => at !== row)
      .sort((a, b) => own[a]! - own[b]! || a - b)
      .slice(0, count);
  });
}
