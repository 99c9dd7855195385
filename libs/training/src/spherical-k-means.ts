import { ThalamusError } from '@thalamus/errors';
import { createRandom } from '@thalamus/tensor';

/**
 * Centroids [count, dimension], L2-normalised, of L2-normalised rows, by Lloyd's iterations on the cosine from a seeded
 * choice of rows. A centroid that loses all its rows keeps its place. TENSOR_INVALID with fewer rows than centroids.
 */
export function sphericalKMeans(
  rows: Float32Array,
  dimension: number,
  count: number,
  seed: number,
  iterations = 25,
): Float32Array {
  const n = rows.length / dimension;
  if (n < count) {
    throw new ThalamusError(
      'TENSOR_INVALID',
      `${count} centroids need at least as many rows; ${n} were given.`,
    );
  }
  const random = createRandom(seed);
  const chosen = new Set<number>();
  while (chosen.size < count) chosen.add(Math.min(n - 1, Math.floor(random.next() * n)));
  const centroids = new Float32Array(count * dimension);
  [...chosen].forEach((row, at) =>
    centroids.set(rows.subarray(row * dimension, (row + 1) * dimension), at * dimension),
  );
  for (let iteration = 0; iteration < iterations; iteration++) {
    const sums = new Float64Array(count * dimension);
    for (let row = 0; row < n; row++) {
      const x = rows.subarray(row * dimension, (row + 1) * dimension);
      const at = nearest(x, centroids, count) * dimension;
      for (let i = 0; i < dimension; i++) sums[at + i]! += x[i]!;
    }
    for (let c = 0; c < count; c++) {
      const sum = sums.subarray(c * dimension, (c + 1) * dimension);
      const length = Math.sqrt(sum.reduce((total, value) => total + value ** 2, 0));
      if (length > 0)
        centroids.set(
          Float32Array.from(sum, (value) => value / length),
          c * dimension,
        );
    }
  }
  return centroids;
}

function nearest(x: Float32Array, centroids: Float32Array, count: number): number {
  let best = 0;
  let bestCosine = -Infinity;
  for (let c = 0; c < count; c++) {
    let cosine = 0;
    for (let i = 0; i < x.length; i++) cosine += x[i]! * centroids[c * x.length + i]!;
    if (cosine > bestCosine) {
      bestCosine = cosine;
      best = c;
    }
  }
  return best;
}
