import type { Random } from './random.js';
import { dot } from './vector.js';

/** Share of its length below which what is left of a vector is rounding. */
const DEPENDENT = 1e-12;
const VANISHED = 1e-100;

/**
 * Makes vectors of one length orthonormal in place, each against those before it (Gram-Schmidt, twice), and returns them. A
 * vector that depends on those before it becomes a random direction. There are at most as many vectors as dimensions.
 */
export function orthonormalise(vectors: readonly Float64Array[], random: Random): readonly Float64Array[] {
  vectors.forEach((vector, at) => {
    const before = vectors.slice(0, at);
    while (!project(vector, before)) vector.forEach((_, k) => (vector[k] = random.normal()));
  });
  return vectors;
}

/** False when nothing is left of the vector. */
function project(vector: Float64Array, before: readonly Float64Array[]): boolean {
  const length = Math.sqrt(dot(vector, vector));
  for (let pass = 0; pass < 2; pass++)
    for (const unit of before) {
      const share = dot(unit, vector);
      for (let k = 0; k < vector.length; k++) vector[k]! -= share * unit[k]!;
    }
  const left = Math.sqrt(dot(vector, vector));
  if (left <= Math.max(DEPENDENT * length, VANISHED)) return false;
  for (let k = 0; k < vector.length; k++) vector[k]! /= left;
  return true;
}
