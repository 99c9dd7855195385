import { gatedFeatures, type GatedLossHeads } from '@thalamus/routing';
import { fitLinearLosses, rowCount, type LossRows } from './fit-linear-losses.js';
import { fitSoftmaxRegression } from './softmax-regression.js';

/** How gated heads are fitted. */
export interface GatedLossOptions {
  /** Weight of half the squared norm of the gate's weights, relative to the mean cross-entropy. */
  readonly gateL2: number;
  /** Ridge of the losses on the gate's probabilities and the embedding, relative to the mean square error. */
  readonly l2: number;
}

/**
 * A gate that guesses the candidate with the smallest loss (softmax regression), then a ridge regression of every loss
 * on the gate's probabilities and the embedding. Deterministic.
 */
export function fitGatedLosses(rows: LossRows, options: GatedLossOptions): GatedLossHeads {
  const { features, dimension, candidates } = rows;
  const classes = bestCandidates(rows);
  const gate = fitSoftmaxRegression(
    { features, width: dimension, classes, classCount: candidates },
    { l2: options.gateL2 },
  );
  const gated = gatedFeatures(features, dimension, gate.weights, gate.bias);
  const { weights, bias } = fitLinearLosses(
    { ...rows, features: gated, dimension: candidates + dimension },
    options.l2,
  );
  return { kind: 'gated', dimension, gateWeights: gate.weights, gateBias: gate.bias, weights, bias };
}

/** Candidate with the smallest loss of each row. */
export function bestCandidates(rows: LossRows): Int32Array {
  const { losses, candidates } = rows;
  const best = new Int32Array(rowCount(rows));
  for (let row = 0; row < best.length; row++) {
    for (let k = 1; k < candidates; k++) {
      if (losses[row * candidates + k]! < losses[row * candidates + best[row]!]!) best[row] = k;
    }
  }
  return best;
}
