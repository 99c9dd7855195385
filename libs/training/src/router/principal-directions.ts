import { createRandom, dot, orthonormalise } from '@thalamus/tensor';
import { gramMatrix } from './gram-matrix.js';

/** A sparse matrix by rows. */
export interface SparseRows {
  readonly columns: number;
  readonly rows: readonly { readonly columns: readonly number[]; readonly values: readonly number[] }[];
}

/** Times that the directions go through the matrix and back: enough for a space that predictions are made in. */
const POWER_ITERATIONS = 4;
const DENSE_ITERATIONS = 6;

/**
 * Orthonormal directions [count][columns] that span, about, the space of the largest right singular vectors: subspace
 * iteration on X^T X (Halko, Martinsson and Tropp 2011, algorithm 4.4). Same matrix and seed, same bits. `count` is at most
 * the number of columns; directions that the matrix does not have are random.
 */
export function principalDirections(matrix: SparseRows, count: number, seed: number): Float64Array[] {
  const random = createRandom(seed);
  let directions: Float64Array[] = Array.from({ length: count }, () =>
    Float64Array.from({ length: matrix.columns }, () => random.normal()),
  );
  orthonormalise(directions, random);
  for (let iteration = 0; iteration < POWER_ITERATIONS; iteration++) {
    directions = thereAndBack(matrix, directions);
    orthonormalise(directions, random);
  }
  return directions;
}

/**
 * The same for dense rows [rows, dimension]: a projection [count, dimension], row-major. With a dimension of at most `count`
 * it is the identity.
 */
export function principalProjection(
  features: Float32Array,
  dimension: number,
  count: number,
  seed: number,
): Float32Array {
  if (dimension <= count)
    return Float32Array.from({ length: dimension * dimension }, (_, at) =>
      at % (dimension + 1) === 0 ? 1 : 0,
    );
  const random = createRandom(seed);
  const gram = gramMatrix(features, dimension);
  let directions = Array.from({ length: count }, () =>
    Float64Array.from({ length: dimension }, () => random.normal()),
  );
  orthonormalise(directions, random);
  for (let iteration = 0; iteration < DENSE_ITERATIONS; iteration++) {
    directions = directions.map((direction) =>
      Float64Array.from({ length: dimension }, (_, row) =>
        dot(gram.subarray(row * dimension, (row + 1) * dimension), direction),
      ),
    );
    orthonormalise(directions, random);
  }
  return Float32Array.from(
    { length: count * dimension },
    (_, at) => directions[Math.floor(at / dimension)]![at % dimension]!,
  );
}

/** X^T X d for each direction d; directions lie interleaved, so that a row is read once for all. */
function thereAndBack({ rows, columns }: SparseRows, directions: readonly Float64Array[]): Float64Array[] {
  const count = directions.length;
  const flat = new Float64Array(columns * count);
  directions.forEach((direction, at) => {
    for (let column = 0; column < columns; column++) flat[column * count + at] = direction[column]!;
  });
  const back = new Float64Array(columns * count);
  const image = new Float64Array(count);
  for (const row of rows) {
    image.fill(0);
    row.columns.forEach((column, index) => {
      const value = row.values[index]!;
      for (let at = 0; at < count; at++) image[at]! += value * flat[column * count + at]!;
    });
    row.columns.forEach((column, index) => {
      const value = row.values[index]!;
      for (let at = 0; at < count; at++) back[column * count + at]! += value * image[at]!;
    });
  }
  return Array.from({ length: count }, (_, at) =>
    Float64Array.from({ length: columns }, (__, column) => back[column * count + at]!),
  );
}
