import {
  affine,
  gatedFeatures,
  predictLosses,
  projectedRows,
  type NearestLossHeads,
  type SingleLossHeads,
} from '@thalamus/routing';
import { fitLinearPath } from '../fit-linear-losses.js';
import { columnMeans, pickRows } from './loss-matrix.js';

/** Rows that a head for one more candidate is fitted on. */
export interface ColumnRows {
  /** float32 [rows, dimension], each of length 1. */
  readonly features: Float32Array;
  /** Measured loss of the candidate on each row. */
  readonly losses: Float64Array;
}

/** How a column is fitted. */
export interface ColumnSetting {
  /** Begins with a weighed sum of the columns that are there: a new expert is often like old ones. */
  readonly likeOthers: boolean;
  /** Ridge of what that leaves, relative to the mean square error; of `nearest`: rows that are averaged. Undefined: nothing more. */
  readonly own: number | undefined;
}

const RIDGES = [1, 0.3, 0.1, 0.03, 0.01, 0.003] as const;
const NEIGHBOURS = [80, 20] as const;
/** Ridge of the weights of other columns, whose predictions are brought to a deviation of 1. */
const OTHERS_L2 = 0.01;

/** Settings that are tried for a kind of heads, the simplest first. */
export function columnSettings(kind: SingleLossHeads['kind']): readonly ColumnSetting[] {
  const own = [undefined, ...(kind === 'nearest' ? NEIGHBOURS : RIDGES)];
  return [false, true].flatMap((likeOthers) => own.map((value) => ({ likeOthers, own: value })));
}

/**
 * Heads of one candidate alone, which share everything but their last step with `heads`: gate, hidden layer or keys stay as they are. One
 * for each setting, in order.
 */
export function fitColumn(
  heads: SingleLossHeads,
  { features, losses }: ColumnRows,
  settings: readonly ColumnSetting[],
): SingleLossHeads[] {
  const begun = [constant(heads, losses), sumOfColumns(heads, features, losses)];
  const starts = begun.map(({ column }) => column);
  const left = begun.map(({ predicted }) => losses.map((loss, row) => loss - predicted[row]!));
  /** [rows, starts] */
  const residuals = Float64Array.from({ length: 2 * losses.length }, (_, at) => left[at % 2]![at >> 1]!);
  const own = [...new Set(settings.flatMap((setting) => setting.own ?? []))];
  const steps = new Map<number, readonly Step[]>(
    heads.kind === 'nearest'
      ? own.map((neighbours) => [neighbours, smoothed(heads, features, residuals, neighbours)])
      : ridges(basisOf(heads, features), residuals, own).map((step, at) => [own[at]!, step]),
  );
  return settings.map((setting) => {
    const which = setting.likeOthers ? 1 : 0;
    const start = starts[which]!;
    return setting.own === undefined ? start : added(start, steps.get(setting.own)![which]!);
  });
}

/** What is added to the last step of heads. */
interface Step {
  readonly weights: Float32Array;
  readonly bias: number;
}

/** What columns of the same heads predict, [rows, columns]: neighbours are looked for once. */
export function predictColumns(columns: readonly SingleLossHeads[], features: Float32Array): Float32Array {
  const [first, ...others] = columns as [SingleLossHeads];
  return predictLosses(others.reduce(withColumn, first), features);
}

/** Heads with the column of one more candidate behind those that they have, which stay as they are. */
export function withColumn(heads: SingleLossHeads, column: SingleLossHeads): SingleLossHeads {
  if (heads.kind === 'nearest' && column.kind === 'nearest') {
    const { candidates } = heads;
    const values = new Float32Array(column.values.length * (candidates + 1));
    column.values.forEach((value, row) => {
      values.set(heads.values.subarray(row * candidates, (row + 1) * candidates), row * (candidates + 1));
      values[row * (candidates + 1) + candidates] = value;
    });
    return { ...heads, candidates: candidates + 1, values };
  }
  if (heads.kind === 'nearest' || column.kind === 'nearest')
    throw new Error('A column is of the kind of its heads.');
  return { ...heads, weights: joined(heads.weights, column.weights), bias: joined(heads.bias, column.bias) };
}

function joined(a: Float32Array, b: Float32Array): Float32Array {
  const all = new Float32Array(a.length + b.length);
  all.set(a);
  all.set(b, a.length);
  return all;
}

/** A column and what it predicts for the fitted rows. */
interface Start {
  readonly column: SingleLossHeads;
  readonly predicted: Float64Array;
}

/** The mean, whatever the prompt. */
function constant(heads: SingleLossHeads, losses: Float64Array): Start {
  const [mean = 0] = columnMeans(losses, 1);
  return { column: constantColumn(heads, mean), predicted: losses.map(() => mean) };
}

function constantColumn(heads: SingleLossHeads, mean: number): SingleLossHeads {
  if (heads.kind === 'nearest')
    return {
      ...heads,
      candidates: 1,
      values: new Float32Array(heads.values.length / heads.candidates).fill(mean),
    };
  const width = heads.weights.length / heads.bias.length;
  return { ...heads, weights: new Float32Array(width), bias: Float32Array.of(mean) };
}

/** offset + sum of share x column: every kind is linear in its last step, and so are the losses that it predicts. */
function sumOfColumns(heads: SingleLossHeads, features: Float32Array, losses: Float64Array): Start {
  const predicted = predictLosses(heads, features);
  const count = predicted.length / losses.length;
  const means = columnMeans(Float64Array.from(predicted), count);
  const square = predicted.reduce((sum, loss, at) => sum + (loss - means[at % count]!) ** 2, 0);
  const deviation = Math.sqrt(square / predicted.length) || 1;
  const [fit] = fitLinearPath(
    {
      features: predicted.map((loss, at) => (loss - means[at % count]!) / deviation),
      dimension: count,
      losses,
      candidates: 1,
    },
    [OTHERS_L2],
  );
  const shares = Float64Array.from(fit!.weights, (weight) => weight / deviation);
  const offset = shares.reduce((sum, share, k) => sum - share * means[k]!, fit!.bias[0]!);
  const sumOf = (others: ArrayLike<number>, from: number, step: number) =>
    shares.reduce((sum, share, k) => sum + share * others[from + k * step]!, 0);
  const own = losses.map((_, row) => offset + sumOf(predicted, row * count, 1));
  if (heads.kind === 'nearest') {
    const values = Float32Array.from(
      { length: heads.values.length / count },
      (_, row) => offset + sumOf(heads.values, row * count, 1),
    );
    return { column: { ...heads, candidates: 1, values }, predicted: own };
  }
  const width = heads.weights.length / count;
  const weights = Float32Array.from({ length: width }, (_, at) => sumOf(heads.weights, at, width));
  const bias = Float32Array.of(offset + sumOf(heads.bias, 0, 1));
  return { column: { ...heads, weights, bias }, predicted: own };
}

/** What the last step of heads reads, [rows, width]. */
function basisOf(heads: Exclude<SingleLossHeads, NearestLossHeads>, features: Float32Array): Float32Array {
  if (heads.kind === 'linear') return features;
  const { dimension } = heads;
  if (heads.kind === 'gated') return gatedFeatures(features, dimension, heads.gateWeights, heads.gateBias);
  const hidden = affine(features, dimension, heads.hiddenWeights, heads.hiddenBias);
  return hidden.map((value) => Math.max(0, value));
}

/** Ridge regression of each column of residuals, for each `l2`. */
function ridges(basis: Float32Array, residuals: Float64Array, l2s: readonly number[]): Step[][] {
  const dimension = basis.length / (residuals.length / 2);
  const fits = fitLinearPath({ features: basis, dimension, losses: residuals, candidates: 2 }, l2s);
  return fits.map(({ weights, bias }) =>
    [0, 1].map((k) => ({ weights: weights.slice(k * dimension, (k + 1) * dimension), bias: bias[k]! })),
  );
}

/** What the nearest fitted rows leave, for each key and column of residuals. */
function smoothed(
  { projection, projected, dimension, keys, temperature }: NearestLossHeads,
  features: Float32Array,
  residuals: Float64Array,
  neighbours: number,
): Step[] {
  const same = new Float32Array(projected * projected);
  for (let at = 0; at < projected; at++) same[at * projected + at] = 1;
  const all = predictLosses(
    {
      kind: 'nearest',
      dimension: projected,
      projection: same,
      projected,
      keys: projectedRows(features, { projection, projected, dimension }),
      values: Float32Array.from(residuals),
      candidates: 2,
      neighbours,
      temperature,
    },
    keys,
  );
  return [0, 1].map((k) => ({ weights: all.filter((_, at) => at % 2 === k), bias: 0 }));
}

function added(start: SingleLossHeads, { weights, bias }: Step): SingleLossHeads {
  if (start.kind === 'nearest')
    return { ...start, values: start.values.map((value, row) => value + weights[row]!) };
  return {
    ...start,
    weights: start.weights.map((value, at) => value + weights[at]!),
    bias: start.bias.map((value) => value + bias),
  };
}

/** Features of some rows. */
export function someRows({ features, losses }: ColumnRows, rows: readonly number[]): ColumnRows {
  return {
    features: pickRows(features, features.length / losses.length, rows),
    losses: pickRows(losses, 1, rows),
  };
}
