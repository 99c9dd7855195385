import { ThalamusError } from '@thalamus/errors';
import { beyondHalf } from '../half-range.js';

/** A change of a matrix [rows, columns] in factors: left · right. Rank 0: no change. */
export interface MatrixChange {
  readonly rank: number;
  /** float32 [rows, rank] */
  readonly left: Float32Array;
  /** float32 [rank, columns] */
  readonly right: Float32Array;
}

/** A vector of the encoder that follows the weights of a text. */
export interface VectorChange {
  /** float32 [size]: what all texts share. */
  readonly shared: Float32Array;
  /** float32 [parents, size]: what each parent adds. */
  readonly changes: Float32Array;
}

/** What the parents of a mixture add to an encoder: x is run through shared + sum over t of w_t(x) change_t. */
export interface Mixture {
  readonly parents: number;
  /** A change for each parent, by the Hugging Face name of the matrix, linear ones [out, in]. */
  readonly matrices: ReadonlyMap<string, readonly MatrixChange[]>;
  /** Biases and norms by their Hugging Face names. A norm has both its gain and its shift, or neither. */
  readonly vectors: ReadonlyMap<string, VectorChange>;
}

/** Inputs of a graph with a mixture beside those of its encoder. */
export const MIXTURE_INPUTS = {
  /** float32 [batch, parents]: the weights of each text, without unit. */
  weights: 'mixture_weights',
  /** int64 [batch, top]: the parents whose weights are not zero; only where a number of them is fixed. */
  top: 'mixture_top',
} as const;

/** How a mixture is written. */
export interface MixtureOptions {
  /**
   * Most parents of a text. Undefined: the branches of all parents are run for every text, which costs more with every parent.
   * Else every text gathers those of its own, which costs the same with any number of parents.
   */
  readonly top?: number | undefined;
}

/** Parents of the columns of stacked factors. */
export function columnParents(changes: readonly MatrixChange[]): Int32Array {
  return Int32Array.from(changes.flatMap(({ rank }, parent) => new Array<number>(rank).fill(parent)));
}

/** Left factors side by side: float32 [rows, sum of ranks]. */
export function stackedLeft(changes: readonly MatrixChange[], rows: number): Float32Array {
  const width = changes.reduce((sum, { rank }) => sum + rank, 0);
  const stacked = new Float32Array(rows * width);
  let first = 0;
  for (const { rank, left } of changes) {
    for (let row = 0; row < rows; row++)
      stacked.set(left.subarray(row * rank, (row + 1) * rank), row * width + first);
    first += rank;
  }
  return stacked;
}

/** Right factors one under the other: float32 [sum of ranks, columns]. */
export function stackedRight(changes: readonly MatrixChange[], columns: number): Float32Array {
  const stacked = new Float32Array(changes.reduce((sum, { rank }) => sum + rank, 0) * columns);
  let first = 0;
  for (const { rank, right } of changes) {
    stacked.set(right, first);
    first += rank * columns;
  }
  return stacked;
}

/**
 * @throws COMPOSITION_REFUSED when a change has other sizes than its matrix, there is not one for each parent, or float16, which
 * factors are stored as, has no place for a number of it
 */
export function checkMatrixChanges(
  name: string,
  shape: readonly number[],
  { matrices, parents }: Mixture,
): void {
  const changes = matrices.get(name) ?? [];
  const [rows = 0, columns = 0] = shape;
  if (changes.length !== parents) refuse(`${name} has ${changes.length} changes for ${parents} parents`);
  changes.forEach(({ rank, left, right }, parent) => {
    if (rank > Math.min(rows, columns))
      refuse(
        `parent ${parent} changes ${name} [${rows}, ${columns}] with rank ${rank}, which is more than it has`,
      );
    if (left.length !== rows * rank || right.length !== rank * columns)
      refuse(
        `parent ${parent} changes ${name} [${rows}, ${columns}] with ${left.length} and ${right.length} numbers`,
      );
    const far = beyondHalf(left) ?? beyondHalf(right);
    if (far !== undefined)
      throw new ThalamusError(
        'COMPOSITION_REFUSED',
        `Parent ${parent} is too far from the shared expert: the factors of ${name} hold ${far}, and float16, which they are stored as, ends at 65504. Give the merge smaller weights, or leave the parent out.`,
      );
  });
}

export function refuse(reason: string): never {
  throw new ThalamusError(
    'COMPOSITION_REFUSED',
    `The mixture does not fit its encoder: ${reason}. All parents must have the shapes of the base.`,
  );
}
