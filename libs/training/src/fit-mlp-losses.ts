import type { MlpLossHeads } from '@thalamus/routing';
import { createRandom } from '@thalamus/tensor';
import { bestCandidates } from './fit-gated-losses.js';
import { rowCount, type LossRows } from './fit-linear-losses.js';
import { minimise } from './minimise.js';

/** How an MLP head is fitted. */
export interface MlpLossOptions {
  /** Width of the hidden layer. */
  readonly hidden: number;
  /** Weight of half the squared norm of both weight matrices, relative to the mean row loss. */
  readonly l2: number;
  readonly maxIterations: number;
  /** Weight of the ranking term; 0 is pure regression. */
  readonly ranking: number;
  /** Seed of the starting weights: the same seed and rows give the same heads. */
  readonly seed: number;
  readonly onIteration?: (iteration: number, value: number) => void;
}

/** True gaps smaller than this, in the loss unit, are no reason to rank. */
const RANKING_GAP = 0.05;
/** Wanted distance of predictions, in standard deviations. */
const RANKING_MARGIN = 0.5;

/**
 * One hidden layer with rectifier. The objective of a row is the Huber loss (delta 1) of every standardised loss, plus
 * `ranking` times a squared hinge that wants the best candidate predicted below every clearly worse one. Full-batch
 * L-BFGS.
 */
export function fitMlpLosses(rows: LossRows, options: MlpLossOptions): MlpLossHeads {
  const { dimension } = rows;
  const { hidden } = options;
  const { problem, point, scale } = prepareMlp(rows, options);
  const { layout } = problem;
  minimise((at, gradient) => mlpObjective(problem, at, gradient), point, {
    maxIterations: options.maxIterations,
    tolerance: 1e-6,
    ...(options.onIteration ? { onIteration: options.onIteration } : {}),
  });
  const weights = Float32Array.from(
    point.subarray(layout.output, layout.outputBias),
    (value, at) => value * scale.deviation[Math.floor(at / hidden)]!,
  );
  const bias = Float32Array.from(
    point.subarray(layout.outputBias),
    (value, k) => value * scale.deviation[k]! + scale.mean[k]!,
  );
  return {
    kind: 'mlp',
    dimension,
    hiddenWeights: Float32Array.from(point.subarray(0, layout.hiddenBias)),
    hiddenBias: Float32Array.from(point.subarray(layout.hiddenBias, layout.output)),
    weights,
    bias,
  };
}

/** Where the parameters lie in one flat vector. */
class Layout {
  readonly hiddenBias: number;
  readonly output: number;
  readonly outputBias: number;
  readonly size: number;

  constructor(
    readonly dimension: number,
    readonly hidden: number,
    readonly candidates: number,
  ) {
    this.hiddenBias = hidden * dimension;
    this.output = this.hiddenBias + hidden;
    this.outputBias = this.output + candidates * hidden;
    this.size = this.outputBias + candidates;
  }

  /** True for a weight, false for a bias. */
  isWeight(at: number): boolean {
    return at < this.hiddenBias || (at >= this.output && at < this.outputBias);
  }
}

/** What the objective is computed from. */
export interface MlpProblem {
  readonly rows: LossRows;
  readonly targets: Float64Array;
  readonly best: Int32Array;
  readonly layout: Layout;
  readonly options: MlpLossOptions;
}

/** Standardises the losses and draws the starting point. */
export function prepareMlp(rows: LossRows, options: MlpLossOptions) {
  const { dimension, candidates } = rows;
  const scale = standardisation(rows);
  const layout = new Layout(dimension, options.hidden, candidates);
  const targets = rows.losses.map(
    (loss, at) => (loss - scale.mean[at % candidates]!) / scale.deviation[at % candidates]!,
  );
  const problem: MlpProblem = { rows, targets, best: bestCandidates(rows), layout, options };
  return { problem, point: initialPoint(layout, options.seed), scale };
}

/** The objective and its gradient at a flat vector of parameters. */
export function mlpObjective(problem: MlpProblem, point: Float64Array, gradient: Float64Array): number {
  const { rows, layout, options } = problem;
  const { dimension, candidates } = rows;
  const { hidden } = options;
  const n = rowCount(rows);
  gradient.fill(0);
  const activations = new Float64Array(hidden);
  const outputs = new Float64Array(candidates);
  const slopes = new Float64Array(candidates);
  let total = 0;
  for (let row = 0; row < n; row++) {
    const x = rows.features.subarray(row * dimension, (row + 1) * dimension);
    for (let h = 0; h < hidden; h++) {
      let sum = point[layout.hiddenBias + h]!;
      for (let i = 0; i < dimension; i++) sum += point[h * dimension + i]! * x[i]!;
      activations[h] = Math.max(0, sum);
    }
    for (let k = 0; k < candidates; k++) {
      let sum = point[layout.outputBias + k]!;
      for (let h = 0; h < hidden; h++) sum += point[layout.output + k * hidden + h]! * activations[h]!;
      outputs[k] = sum;
    }
    total += rowLoss(problem, row, outputs, slopes) / n;
    for (let k = 0; k < candidates; k++) {
      slopes[k] = slopes[k]! / n;
      gradient[layout.outputBias + k]! += slopes[k]!;
    }
    for (let h = 0; h < hidden; h++) {
      if (activations[h] === 0) continue;
      let back = 0;
      for (let k = 0; k < candidates; k++) {
        const at = layout.output + k * hidden + h;
        gradient[at]! += slopes[k]! * activations[h]!;
        back += slopes[k]! * point[at]!;
      }
      gradient[layout.hiddenBias + h]! += back;
      for (let i = 0; i < dimension; i++) gradient[h * dimension + i]! += back * x[i]!;
    }
  }
  for (let at = 0; at < point.length; at++) {
    if (!layout.isWeight(at)) continue;
    total += (options.l2 / 2) * point[at]! ** 2;
    gradient[at]! += options.l2 * point[at]!;
  }
  return total;
}

/** Loss of one row; writes its derivative by the outputs into `slopes`. */
function rowLoss(problem: MlpProblem, row: number, outputs: Float64Array, slopes: Float64Array): number {
  const { rows, targets, best, options } = problem;
  const { candidates, losses } = rows;
  let loss = 0;
  for (let k = 0; k < candidates; k++) {
    const error = outputs[k]! - targets[row * candidates + k]!;
    const size = Math.abs(error);
    loss += (size <= 1 ? error ** 2 / 2 : size - 0.5) / candidates;
    slopes[k] = Math.max(-1, Math.min(1, error)) / candidates;
  }
  if (options.ranking === 0) return loss;
  const winner = best[row]!;
  for (let k = 0; k < candidates; k++) {
    if (losses[row * candidates + k]! - losses[row * candidates + winner]! <= RANKING_GAP) continue;
    const short = RANKING_MARGIN + outputs[winner]! - outputs[k]!;
    if (short <= 0) continue;
    const weight = options.ranking / candidates;
    loss += weight * short ** 2;
    slopes[winner]! += 2 * weight * short;
    slopes[k]! -= 2 * weight * short;
  }
  return loss;
}

function initialPoint(layout: Layout, seed: number): Float64Array {
  const random = createRandom(seed);
  const point = new Float64Array(layout.size);
  // The inputs have length one, so a component is about 1/sqrt(dimension): unit weights give unit activations.
  for (let at = 0; at < layout.hiddenBias; at++) point[at] = random.normal();
  const spread = Math.sqrt(1 / layout.hidden);
  for (let at = layout.output; at < layout.outputBias; at++) point[at] = spread * random.normal();
  return point;
}

function standardisation(rows: LossRows): { mean: Float64Array; deviation: Float64Array } {
  const { losses, candidates } = rows;
  const n = rowCount(rows);
  const mean = new Float64Array(candidates);
  const deviation = new Float64Array(candidates);
  for (let at = 0; at < losses.length; at++) mean[at % candidates]! += losses[at]! / n;
  for (let at = 0; at < losses.length; at++) {
    deviation[at % candidates]! += (losses[at]! - mean[at % candidates]!) ** 2 / n;
  }
  // The square root of the variance, or 1 for a candidate whose loss never changes.
  return { mean, deviation: deviation.map((variance) => Math.sqrt(variance) || 1) };
}
