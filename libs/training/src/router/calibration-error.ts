import { foldedNormalMean } from '../calibration/folded-normal.js';

/** Probabilities of being right, with what came out: 0 to 1, partial credit in between. */
export interface Outcomes {
  readonly probabilities: Float64Array;
  readonly outcomes: Float64Array;
}

/** How far probabilities are from what came out. */
export interface Calibration {
  /** Expected calibration error, less the share of it that chance alone gives; 0 or more. */
  readonly ece: number;
  /** The same as it is counted. */
  readonly plainEce: number;
  /** Mean square of outcome less probability. */
  readonly brier: number;
  readonly n: number;
}

/**
 * Expected calibration error over `bins` bins of equal mass, debiased (Kumar, Liang and Ma 2019, section 4, for the absolute
 * error): a bin's mean outcome is noisy, so that even a perfect model shows an error; twice the counted error less its
 * expectation under that noise takes this away. Pairs without an outcome (NaN) are left out.
 */
export function calibrationOf({ probabilities, outcomes }: Outcomes, bins = 15): Calibration {
  const order = Array.from(probabilities.keys())
    .filter((at) => !Number.isNaN(outcomes[at]!))
    .sort((a, b) => probabilities[a]! - probabilities[b]! || a - b);
  const n = order.length;
  let plainEce = 0;
  let expected = 0;
  for (let bin = 0; bin < bins; bin++) {
    const part = order.slice(Math.floor((bin * n) / bins), Math.floor(((bin + 1) * n) / bins));
    if (part.length === 0) continue;
    const predicted = meanOf(part, probabilities);
    const measured = meanOf(part, outcomes);
    const variance = part.reduce((sum, at) => sum + (outcomes[at]! - measured) ** 2, 0) / part.length;
    const share = part.length / n;
    plainEce += share * Math.abs(predicted - measured);
    expected += share * foldedNormalMean(predicted - measured, Math.sqrt(variance / part.length));
  }
  const brier = order.reduce((sum, at) => sum + (outcomes[at]! - probabilities[at]!) ** 2, 0) / n;
  return { ece: Math.max(0, 2 * plainEce - expected), plainEce, brier, n };
}

const meanOf = (rows: readonly number[], values: Float64Array) =>
  rows.reduce((sum, at) => sum + values[at]!, 0) / rows.length;
