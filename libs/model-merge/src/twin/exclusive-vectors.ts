import { ThalamusError } from '@thalamus/errors';
import type { MatrixChange, Mixture, VectorChange, Weights } from '@thalamus/onnx-graph';
import { truncatedSvd, type MultiplyMatrices } from '@thalamus/tensor';
import { counterKey } from '../static/counter-random.js';
import type { Spectrum } from './choose-ranks.js';

/** Weights of a parent, under the names of the shared expert's. */
export interface ParentWeights {
  readonly name: string;
  readonly weights: Weights;
}

/** Singular values of one parent's exclusive matrix and their vectors, largest first. */
interface Decomposed extends Spectrum {
  /** float64 [rows, values] */
  readonly u: Float64Array;
  /** float64 [columns, values] */
  readonly v: Float64Array;
}

/** Exclusive vectors of all parents, decomposed: what is left is to choose how much of each is kept. */
export interface ExclusiveVectors {
  readonly parents: readonly string[];
  /** Singular values by matrix, one entry for each parent. */
  readonly spectra: ReadonlyMap<string, readonly Spectrum[]>;
  /** Number of elements that all parents' matrices and vectors have in full, without what they share. */
  readonly denseElements: number;
  /**
   * The mixture of given ranks, [matrix][parent]: v_t is U(r) S(r) V(r)^T for matrices, exact for vectors.
   * Factors are U sqrt(S) and sqrt(S) V^T, so that both have values of one size.
   */
  mixture(ranks: ReadonlyMap<string, readonly number[]>): Mixture;
}

/** How exclusive vectors are decomposed. */
export interface DecomposeOptions {
  /** Largest rank that will be asked for, for a matrix [rows, columns]. */
  readonly maxRank: (rows: number, columns: number) => number;
  /** Chooses the random directions. */
  readonly seed: number;
  /** Told how many matrices of all are done; what it throws ends the work. */
  readonly onMatrix?: (done: number, total: number) => void;
  /** Multiplies matrices. Default: in JavaScript. */
  readonly multiply?: MultiplyMatrices;
}

/** A seed of its own for every decomposition, whatever place the parent has among the others. */
const seedOf = (seed: number, matrix: string, parent: string) => counterKey(seed, matrix, parent).first;

/** Weights that are no parameters of their own: token types stand in the positions. */
const LEFT_OUT = 'embeddings.token_type_embeddings.weight';

/**
 * Exclusive vectors v_t = th_t - th_s against the *shared* expert (Twin-Merging, arXiv 2406.15479, equations 2 to 5), matrices by
 * truncated SVD, biases and norms as they are.
 * @throws COMPOSITION_REFUSED for a tensor that is missing, of another shape, or not finite
 */
export async function decomposeExclusiveVectors(
  shared: Weights,
  parents: readonly ParentWeights[],
  options: DecomposeOptions,
): Promise<ExclusiveVectors> {
  const names = [...shared.keys()].filter((name) => name !== LEFT_OUT);
  for (const parent of parents) requireSameTensors(shared, parent);
  const matrices = names.filter((name) => shared.get(name)!.shape.length === 2);
  const vectors = new Map(
    names
      .filter((name) => shared.get(name)!.shape.length === 1)
      .map((name) => [name, vectorChange(name, shared, parents)]),
  );
  const total = matrices.length * parents.length;
  const decomposed = new Map<string, readonly Decomposed[]>();
  let done = 0;
  for (const name of matrices) {
    const all: Decomposed[] = [];
    for (const { name: parent, weights } of parents) {
      const seed = seedOf(options.seed, name, parent);
      all.push(await decompose(name, shared, weights, { ...options, seed }));
      options.onMatrix?.(++done, total);
    }
    decomposed.set(name, all);
  }
  return {
    parents: parents.map(({ name }) => name),
    spectra: decomposed,
    denseElements: parents.length * names.reduce((sum, name) => sum + shared.get(name)!.data.length, 0),
    mixture: (ranks) => ({
      parents: parents.length,
      vectors,
      matrices: new Map(
        [...decomposed].map(([name, all]) => [
          name,
          all.map((each, parent) => factorsOf(each, ranks.get(name)?.[parent] ?? 0)),
        ]),
      ),
    }),
  };
}

async function decompose(
  name: string,
  shared: Weights,
  weights: Weights,
  { maxRank, seed, multiply }: DecomposeOptions,
): Promise<Decomposed> {
  const { shape, data } = shared.get(name)!;
  const own = weights.get(name)!.data;
  const [rows = 0, columns = 0] = shape;
  const change = new Float64Array(data.length);
  let energy = 0;
  for (let i = 0; i < data.length; i++) {
    const value = own[i]! - data[i]!;
    change[i] = value;
    energy += value * value;
  }
  const rank = Math.min(maxRank(rows, columns), rows, columns);
  if (energy === 0 || rank === 0)
    return { rows, columns, energy, s: new Float64Array(), u: new Float64Array(), v: new Float64Array() };
  const { u, s, v } = await truncatedSvd({ rows, columns, data: change }, rank, {
    seed,
    ...(multiply && { multiply }),
  });
  return { rows, columns, energy, s, u, v };
}

function factorsOf({ rows, columns, s, u, v }: Decomposed, wanted: number): MatrixChange {
  const rank = Math.min(wanted, s.length);
  const left = new Float32Array(rows * rank);
  const right = new Float32Array(rank * columns);
  for (let k = 0; k < rank; k++) {
    const root = Math.sqrt(s[k]!);
    for (let row = 0; row < rows; row++) left[row * rank + k] = u[row * s.length + k]! * root;
    for (let column = 0; column < columns; column++)
      right[k * columns + column] = v[column * s.length + k]! * root;
  }
  return { rank, left, right };
}

function vectorChange(name: string, shared: Weights, parents: readonly ParentWeights[]): VectorChange {
  const { data } = shared.get(name)!;
  const changes = new Float32Array(parents.length * data.length);
  parents.forEach(({ weights }, parent) => {
    const own = weights.get(name)!.data;
    for (let i = 0; i < data.length; i++) changes[parent * data.length + i] = own[i]! - data[i]!;
  });
  return { shared: data, changes };
}

/** @throws COMPOSITION_REFUSED that names the parent, the tensor and what is wrong with it */
export function requireSameTensors(shared: Weights, { name: parent, weights }: ParentWeights): void {
  const say = (reason: string): never => {
    throw new ThalamusError('COMPOSITION_REFUSED', `${parent} cannot be merged: ${reason}`);
  };
  for (const [name, { shape }] of shared) {
    const own = weights.get(name);
    if (!own) say(`it has no tensor ${name}. Its architecture must be that of the others.`);
    if (own!.shape.join() !== shape.join())
      say(
        `its tensor ${name} has the shape [${own!.shape.join(', ')}] where the others have [${shape.join(', ')}]. Its architecture and vocabulary must be theirs.`,
      );
    // x - x is 0 for finite x and NaN otherwise, and NaN stays in a sum.
    let sum = 0;
    for (const value of own!.data) sum += value - value;
    if (sum !== 0) say(`its tensor ${name} holds NaN or infinity. Train it again.`);
  }
  const odd = [...weights.keys()].find((name) => !shared.has(name));
  if (odd !== undefined) say(`it has a tensor ${odd} that the others lack. Its architecture must be theirs.`);
}
