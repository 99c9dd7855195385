import {
  affine,
  gatedFeatures,
  projectedRows,
  type LossHeads,
  type NearestLossHeads,
  type SingleLossHeads,
} from '@thalamus/routing';
import { createRandom } from '@thalamus/tensor';
import { bestCandidates } from '../fit-gated-losses.js';
import { fitLinearLosses, fitLinearPath, rowCount, type LossRows } from '../fit-linear-losses.js';
import { fitMlpLosses } from '../fit-mlp-losses.js';
import { fitSoftmaxRegression } from '../softmax-regression.js';
import { pickRows } from './loss-matrix.js';
import { principalProjection } from './principal-directions.js';

/** A way to fit heads, with several settings that share work. */
export interface LearnerFamily {
  readonly name: string;
  /** Order of simplicity: of equals the smaller is taken. */
  readonly complexity: number;
  /** In words, from the simplest. */
  readonly settings: readonly string[];
  /** Heads for each setting, in order, on rows of features of length 1. */
  fit(rows: LossRows, seed: number): SingleLossHeads[];
}

/** Width that gates and hidden layers see: the principal directions of the features. */
const PROJECTED = 128;
/** Widths that neighbours are sought in, the cheaper first. */
const NEAREST_WIDTHS = [48, PROJECTED] as const;
/** Most rows that are kept as neighbours: what a prompt is compared with in serving. */
export const MAX_KEYS = 4096;

const RIDGE_L2 = [0.1, 0.03, 0.01, 0.003, 0.001, 3e-4, 1e-4] as const;

/** Ridge regression of each loss on the vector. */
export const RIDGE: LearnerFamily = {
  name: 'ridge',
  complexity: 1,
  settings: RIDGE_L2.map((l2) => `l2 ${l2}`),
  fit: (rows) => fitLinearPath(rows, RIDGE_L2),
};

const NEIGHBOURS = [320, 160, 80, 40] as const;
const TEMPERATURE = 0.1;

/** Mean of the nearest prompts. */
export const NEAREST: LearnerFamily = {
  name: 'nearest',
  complexity: 2,
  settings: NEAREST_WIDTHS.flatMap((width) =>
    NEIGHBOURS.map((k) => `${k} neighbours in ${width} directions`),
  ),
  fit: (rows, seed) =>
    NEAREST_WIDTHS.flatMap((width) => fitNearestPath(rows, { seed, width, neighbours: NEIGHBOURS })),
};

const GATES = [
  { gateL2: 1e-2, l2: 0.03 },
  { gateL2: 3e-3, l2: 0.03 },
] as const;

/** A guess at the best candidate from the principal directions of the vector, then ridge regression on that guess and the vector. */
export const GATED: LearnerFamily = {
  name: 'gated',
  complexity: 3,
  settings: GATES.map(({ gateL2, l2 }) => `gate l2 ${gateL2}, l2 ${l2}`),
  fit: (rows, seed) => {
    const { dimension, candidates } = rows;
    const { projection, features, width } = projectedInputs(rows, seed);
    const classes = bestCandidates(rows);
    return GATES.map(({ gateL2, l2 }) => {
      const gate = fitSoftmaxRegression(
        { features, width, classes, classCount: candidates },
        { l2: gateL2, maxIterations: GATE_ITERATIONS },
      );
      const gateWeights = mapped(gate.weights, width, transposed(projection, dimension));
      const gated = gatedFeatures(rows.features, dimension, gateWeights, gate.bias);
      const { weights, bias } = fitLinearLosses(
        { ...rows, features: gated, dimension: candidates + dimension },
        l2,
      );
      return { kind: 'gated', dimension, gateWeights, gateBias: gate.bias, weights, bias };
    });
  },
};

const MLPS = [
  { hidden: 16, l2: 0.01, ranking: 0.5 },
  { hidden: 16, l2: 0.01, ranking: 0 },
] as const;
const MLP_ITERATIONS = 30;
const GATE_ITERATIONS = 60;

/** One hidden layer, Huber loss with and without pairwise ranking, on the principal directions of the vector. */
export const MLP: LearnerFamily = {
  name: 'mlp',
  complexity: 4,
  settings: MLPS.map(
    ({ hidden, l2, ranking }) =>
      `${hidden} hidden, l2 ${l2}, Huber${ranking > 0 ? ` + ${ranking} ranking` : ' alone'}`,
  ),
  fit: (rows, seed) => {
    const { projection, features, width } = projectedInputs(rows, seed);
    return MLPS.map((options) => {
      const heads = fitMlpLosses(
        { ...rows, features, dimension: width },
        { ...options, seed, maxIterations: MLP_ITERATIONS },
      );
      const hiddenWeights = mapped(heads.hiddenWeights, width, transposed(projection, rows.dimension));
      return { ...heads, dimension: rows.dimension, hiddenWeights };
    });
  },
};

/** Principal directions of the features, and the features along them. */
function projectedInputs({ features, dimension }: LossRows, seed: number) {
  const projection = principalProjection(features, dimension, PROJECTED, seed);
  return {
    projection,
    features: mapped(features, dimension, projection),
    width: projection.length / dimension,
  };
}

/** All that the command line tries, the simplest first. */
export const LEARNERS: readonly LearnerFamily[] = [RIDGE, NEAREST, GATED, MLP];

/** What neighbours are sought by. */
interface NearestSearch {
  readonly seed: number;
  /** Principal directions of the features that prompts are compared in. */
  readonly width: number;
  readonly neighbours: readonly number[];
}

/** Neighbour heads for several numbers of neighbours over the same keys. */
export function fitNearestPath(
  rows: LossRows,
  { seed, width, neighbours }: NearestSearch,
): NearestLossHeads[] {
  const { dimension, candidates } = rows;
  const kept = keptRows(rowCount(rows), seed);
  const projection = principalProjection(rows.features, dimension, width, seed);
  const projected = projection.length / dimension;
  const keys = projectedRows(pickRows(rows.features, dimension, kept), { projection, projected, dimension });
  const values = Float32Array.from(pickRows(rows.losses, candidates, kept));
  return neighbours.map((count) => ({
    kind: 'nearest',
    dimension,
    projection,
    projected,
    keys,
    values,
    candidates,
    neighbours: count,
    temperature: TEMPERATURE,
  }));
}

/** All rows, or so many of them by chance. */
function keptRows(count: number, seed: number): number[] {
  const rows = Array.from({ length: count }, (_, at) => at);
  if (count <= MAX_KEYS) return rows;
  return createRandom(seed)
    .shuffle(rows)
    .slice(0, MAX_KEYS)
    .sort((a, b) => a - b);
}

/** Mean of heads with equal shares. */
export function averageOf(parts: readonly SingleLossHeads[]): LossHeads {
  return {
    kind: 'average',
    dimension: parts[0]?.dimension ?? 0,
    parts: parts.map((heads) => ({ share: 1 / parts.length, heads })),
  };
}

/** The same heads with `offset` + `slope` x loss for each candidate: their last step is linear in every kind. */
export function rescaled(heads: LossHeads, slope: ArrayLike<number>, offset: ArrayLike<number>): LossHeads {
  if (heads.kind === 'average') {
    const total = heads.parts.reduce((sum, { share }) => sum + share, 0);
    const offsets = Float64Array.from(slope, (_, k) => offset[k]! / total);
    const parts = heads.parts.map(({ share, heads: own }) => ({
      share,
      heads: rescaled(own, slope, offsets) as SingleLossHeads,
    }));
    return { ...heads, parts };
  }
  if (heads.kind === 'nearest') {
    const values = heads.values.map(
      (value, at) => offset[at % heads.candidates]! + slope[at % heads.candidates]! * value,
    );
    return { ...heads, values };
  }
  const width = heads.weights.length / heads.bias.length;
  return {
    ...heads,
    weights: heads.weights.map((weight, at) => weight * slope[Math.floor(at / width)]!),
    bias: heads.bias.map((bias, k) => offset[k]! + slope[k]! * bias),
  };
}

/** Each row x of [rows, width] times P^T, P being [outputs, width]. */
function mapped(rows: Float32Array, width: number, projection: Float32Array): Float32Array {
  return affine(rows, width, projection, new Float32Array(projection.length / width));
}

function transposed(matrix: Float32Array, width: number): Float32Array {
  const rows = matrix.length / width;
  return Float32Array.from(
    { length: matrix.length },
    (_, at) => matrix[(at % rows) * width + Math.floor(at / rows)]!,
  );
}
