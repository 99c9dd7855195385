import { ThalamusError } from '@thalamus/errors';
import { orthonormalise } from './orthonormalise.js';
import { multiplyPlainly, rowOf, type Matrix64, type MultiplyMatrices } from './matrix-products.js';
import { orthonormaliseRows } from './orthonormalise-rows.js';
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
  /** Multiplies matrices. Default: in JavaScript. */
  readonly multiply?: MultiplyMatrices;
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
export async function truncatedSvd(
  matrix: DenseMatrix,
  rank: number,
  options: TruncatedSvdOptions = {},
): Promise<TruncatedSvd> {
  const { seed = 0, oversample = 10, powerIterations = 2, multiply = multiplyPlainly } = options;
  const largest = check(matrix, rank, { oversample, powerIterations });
  const { rows, columns } = matrix;
  // Values of at most 1 have squares that neither overflow nor vanish.
  const scaled = Float64Array.from(matrix.data);
  if (largest > 0) for (let at = 0; at < scaled.length; at++) scaled[at]! /= largest;
  const scaledMatrix = { rows, columns, data: scaled };
  const random = createRandom(seed);
  const count = Math.min(rank + oversample, rows, columns);
  // Vectors lie in rows: X A^T takes them forth, Y A back.
  const forth = async (vectors: Matrix64) => stack(count, await multiply(vectors, scaledMatrix, true));
  const back = async (vectors: Matrix64) => stack(count, await multiply(vectors, scaledMatrix, false));
  const orthonormal = (vectors: Matrix64) => orthonormaliseRows(vectors, { multiply, random });
  const start = Float64Array.from({ length: count * columns }, () => random.normal());
  let left = await orthonormal(await forth(stack(count, start)));
  let right = await orthonormal(await back(left));
  for (let iteration = 0; iteration < powerIterations; iteration++) {
    left = await orthonormal(await forth(right));
    right = await orthonormal(await back(left));
  }
  // Column j of the core is left^T A right_j.
  const inside = stack(count, await multiply(await forth(right), left, true));
  const core = Array.from({ length: count }, (_, at) => rowOf(inside, at).slice());
  const turns = core.map((_, at) => new Float64Array(count).fill(1, at, at + 1));
  rotate(core, turns);
  const norms = core.map((column) => Math.sqrt(dot(column, column)));
  const order = norms.map((_, at) => at).toSorted((a, b) => norms[b]! - norms[a]!);
  const inner = orthonormalise(
    order.map((at) => core[at]!),
    random,
  );
  const kept = order.slice(0, rank);
  const combined = async (coefficients: readonly Float64Array[], vectors: Matrix64) =>
    transposed(stack(rank, await multiply(joined(coefficients), vectors, false)));
  return {
    u: await combined(inner.slice(0, rank), left),
    s: Float64Array.from(kept, (at) => norms[at]! * largest),
    v: await combined(
      kept.map((at) => turns[at]!),
      right,
    ),
  };
}

const stack = (rows: number, data: Float64Array): Matrix64 => ({ rows, columns: data.length / rows, data });

function joined(vectors: readonly Float64Array[]): Matrix64 {
  const columns = vectors[0]!.length;
  const data = new Float64Array(vectors.length * columns);
  vectors.forEach((vector, at) => data.set(vector, at * columns));
  return { rows: vectors.length, columns, data };
}

function transposed({ rows, columns, data }: Matrix64): Float64Array {
  const result = new Float64Array(data.length);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++)
      result[column * rows + row] = data[row * columns + column]!;
  return result;
}

/** The largest absolute value. @throws TENSOR_INVALID */
function check(
  { rows, columns, data }: DenseMatrix,
  rank: number,
  counts: Readonly<Record<'oversample' | 'powerIterations', number>>,
): number {
  if (!(rows >= 1 && columns >= 1) || data.length !== rows * columns)
    throw invalid(`A matrix [${rows}, ${columns}] cannot hold ${data.length} elements.`);
  const most = Math.min(rows, columns);
  if (!Number.isInteger(rank) || rank < 1 || rank > most)
    throw invalid(`Rank ${rank} of a matrix [${rows}, ${columns}] must be a whole number from 1 to ${most}.`);
  for (const [name, value] of Object.entries(counts))
    if (!Number.isInteger(value) || value < 0)
      throw invalid(`${name} is ${value}; it must be whole and not negative.`);
  let largest = 0;
  for (let at = 0; at < data.length; at++) {
    const size = Math.abs(data[at]!);
    if (!Number.isFinite(size))
      throw invalid(
        `A matrix with ${data[at]} in row ${Math.floor(at / columns)}, column ${at % columns} has no singular values.`,
      );
    if (size > largest) largest = size;
  }
  return largest;
}

const invalid = (message: string) => new ThalamusError('TENSOR_INVALID', message);

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
