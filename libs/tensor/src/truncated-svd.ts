import { ThalamusError } from '@thalamus/errors';
import { orthonormalise } from './orthonormalise.js';
import { createRandom } from './random.js';
import { dot } from './vector.js';

/** A matrix, row-major: `data` holds `rows` times `columns` elements. */
export interface DenseMatrix {
  readonly rows: number;
  readonly columns: number;
  readonly data: Float32Array | Float64Array;
}

/** How the range of a matrix is found. */
export interface TruncatedSvdOptions {
  /** Chooses the random directions. Default 0. */
  readonly seed?: number;
  /** Directions beyond the rank. Default 10. */
  readonly oversample?: number;
  /** Times that the directions go through the matrix and back; more for singular values that fall slowly. Default 2. */
  readonly powerIterations?: number;
}

/** U diag(s) V^T, close to the matrix. */
export interface TruncatedSvd {
  /** [rows, rank] row-major, columns orthonormal. */
  readonly u: Float64Array;
  /** [rank], falling, none negative. */
  readonly s: Float64Array;
  /** [columns, rank] row-major, columns orthonormal. */
  readonly v: Float64Array;
}

/**
 * The largest singular values of a matrix and their vectors (Halko, Martinsson and Tropp 2011): its range by subspace
 * iteration (algorithm 4.4), then the decomposition of what it is inside that range (algorithm 5.1), there by one-sided Jacobi
 * rotations. Sums in float64. Equal input and seed, equal bits.
 * @throws TENSOR_INVALID when data, rank or an option does not fit, or a value is not finite
 */
export function truncatedSvd(
  matrix: DenseMatrix,
  rank: number,
  options: TruncatedSvdOptions = {},
): TruncatedSvd {
  const { seed = 0, oversample = 10, powerIterations = 2 } = options;
  const largest = check(matrix, rank, { oversample, powerIterations });
  const { rows, columns } = matrix;
  // Values of at most 1 have squares that neither overflow nor vanish.
  const scaled = Float64Array.from(matrix.data, (value) => (largest === 0 ? 0 : value / largest));
  const forth = (vectors: readonly Float64Array[]) => times(scaled, rows, columns, vectors);
  const back = (vectors: readonly Float64Array[]) => transposedTimes(scaled, rows, columns, vectors);
  const random = createRandom(seed);
  const count = Math.min(rank + oversample, rows, columns);
  const start = vectorsOf(count, columns).map((vector) => vector.map(() => random.normal()));
  let left = orthonormalise(forth(start), random);
  let right = orthonormalise(back(left), random);
  for (let iteration = 0; iteration < powerIterations; iteration++) {
    left = orthonormalise(forth(right), random);
    right = orthonormalise(back(left), random);
  }
  // Column j of the core is left^T A right_j.
  const core = forth(right).map((image) => Float64Array.from(left, (vector) => dot(vector, image)));
  const turns = vectorsOf(count, count).map((turn, at) => turn.fill(1, at, at + 1));
  rotate(core, turns);
  const norms = core.map((column) => Math.sqrt(dot(column, column)));
  const order = norms.map((_, at) => at).toSorted((a, b) => norms[b]! - norms[a]!);
  const inner = orthonormalise(
    order.map((at) => core[at]!),
    random,
  );
  const kept = order.slice(0, rank);
  return {
    u: combined(left, inner.slice(0, rank)),
    s: Float64Array.from(kept, (at) => norms[at]! * largest),
    v: combined(
      right,
      kept.map((at) => turns[at]!),
    ),
  };
}

/** The largest absolute value. @throws TENSOR_INVALID */
function check(
  { rows, columns, data }: DenseMatrix,
  rank: number,
  counts: Required<Omit<TruncatedSvdOptions, 'seed'>>,
): number {
  if (!(rows >= 1 && columns >= 1) || data.length !== rows * columns)
    throw invalid(`A matrix [${rows}, ${columns}] cannot hold ${data.length} elements.`);
  const most = Math.min(rows, columns);
  if (!Number.isInteger(rank) || rank < 1 || rank > most)
    throw invalid(`Rank ${rank} of a matrix [${rows}, ${columns}] must be a whole number from 1 to ${most}.`);
  for (const [name, value] of Object.entries(counts))
    if (!Number.isInteger(value) || value < 0)
      throw invalid(`${name} is ${value}; it must be whole and not negative.`);
  const at = data.findIndex((value) => !Number.isFinite(value));
  if (at >= 0)
    throw invalid(
      `A matrix with ${data[at]} in row ${Math.floor(at / columns)}, column ${at % columns} has no singular values.`,
    );
  let largest = 0;
  for (const value of data) largest = Math.max(largest, Math.abs(value));
  return largest;
}

const invalid = (message: string) => new ThalamusError('TENSOR_INVALID', message);

const vectorsOf = (count: number, dimension: number) =>
  Array.from({ length: count }, () => new Float64Array(dimension));

/** A x for each x. */
function times(data: Float64Array, rows: number, columns: number, vectors: readonly Float64Array[]) {
  const images = vectorsOf(vectors.length, rows);
  for (let row = 0; row < rows; row++) {
    const values = data.subarray(row * columns, (row + 1) * columns);
    for (let k = 0; k < vectors.length; k++) images[k]![row] = dot(values, vectors[k]!);
  }
  return images;
}

/** A^T y for each y. */
function transposedTimes(
  data: Float64Array,
  rows: number,
  columns: number,
  vectors: readonly Float64Array[],
) {
  const images = vectorsOf(vectors.length, columns);
  for (let row = 0; row < rows; row++) {
    const values = data.subarray(row * columns, (row + 1) * columns);
    for (let k = 0; k < vectors.length; k++) {
      const image = images[k]!;
      const factor = vectors[k]![row]!;
      for (let column = 0; column < columns; column++) image[column]! += factor * values[column]!;
    }
  }
  return images;
}

const MAX_SWEEPS = 60;
const ORTHOGONAL = 1e-14;

/** Turns columns until all are orthogonal (Hestenes 1958); `turns` are turned alike. */
function rotate(columns: readonly Float64Array[], turns: readonly Float64Array[]): void {
  for (let sweep = 0, isDone = false; !isDone && sweep < MAX_SWEEPS; sweep++) {
    isDone = true;
    for (let i = 0; i < columns.length; i++)
      for (let j = i + 1; j < columns.length; j++) {
        const [x, y] = [columns[i]!, columns[j]!];
        const [xx, yy, xy] = [dot(x, x), dot(y, y), dot(x, y)];
        if (Math.abs(xy) <= ORTHOGONAL * Math.sqrt(xx * yy)) continue;
        isDone = false;
        const zeta = (yy - xx) / (2 * xy);
        const tangent = (zeta < 0 ? -1 : 1) / (Math.abs(zeta) + Math.hypot(1, zeta));
        turn(x, y, tangent);
        turn(turns[i]!, turns[j]!, tangent);
      }
  }
}

function turn(x: Float64Array, y: Float64Array, tangent: number): void {
  const cosine = 1 / Math.hypot(1, tangent);
  const sine = cosine * tangent;
  for (let k = 0; k < x.length; k++) {
    const [a, b] = [x[k]!, y[k]!];
    x[k] = cosine * a - sine * b;
    y[k] = sine * a + cosine * b;
  }
}

/** [dimension, coefficients] row-major: column k is the sum of the vectors, weighed by `coefficients[k]`. */
function combined(vectors: readonly Float64Array[], coefficients: readonly Float64Array[]): Float64Array {
  const dimension = vectors[0]!.length;
  const width = coefficients.length;
  const result = new Float64Array(dimension * width);
  for (let row = 0; row < dimension; row++)
    for (let k = 0; k < width; k++) {
      let sum = 0;
      for (let at = 0; at < vectors.length; at++) sum += vectors[at]![row]! * coefficients[k]![at]!;
      result[row * width + k] = sum;
    }
  return result;
}
