import type { Pooling } from '@thalamus/bundle';

/** Tokens whose states a pooling needs, of so many. */
export function pooledPositions(pooling: Pooling, tokens: number): number[] {
  return pooling === 'cls' ? [0] : Array.from({ length: tokens }, (_, position) => position);
}

/** The mean of vectors of equal length. */
export function pooled(states: readonly Float32Array[]): Float32Array {
  const width = states[0]?.length ?? 0;
  return Float32Array.from(
    { length: width },
    (_, i) => states.reduce((sum, state) => sum + (state[i] ?? 0), 0) / states.length,
  );
}

/** The vector divided by its Euclidean length; a vector of zeros stays as it is. */
export function normalised(vector: Float32Array): Float32Array {
  const length = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
  return length === 0 ? vector : vector.map((value) => value / length);
}
