import { ThalamusError } from '@thalamus/errors';

/** Ranks are whole in theory where (1 - coverage) / 2 is not in binary: 10 · (1 - 0.8) / 2 comes out below 1. */
const ROUNDING = 1e-9;

/** Quantiles of measured minus predicted, in the loss unit. */
export interface ResidualInterval {
  readonly lower: number;
  readonly upper: number;
}

/**
 * Split-conformal interval of the residuals of rows that were not fitted: predicted + [lower, upper] holds the measured
 * value of an exchangeable new row with at least the probability `coverage`. DATASET_INVALID when there are too few
 * residuals for that coverage.
 */
export function residualInterval(residuals: ArrayLike<number>, coverage: number): ResidualInterval {
  const sorted = Float64Array.from(residuals).sort();
  const n = sorted.length;
  const tail = (1 - coverage) / 2;
  const low = Math.floor((n + 1) * tail + ROUNDING) - 1;
  const high = Math.ceil((n + 1) * (1 - tail) - ROUNDING) - 1;
  const lower = sorted[low];
  const upper = sorted[high];
  if (lower === undefined || upper === undefined) {
    throw new ThalamusError(
      'DATASET_INVALID',
      `${n} calibration rows are too few for intervals of coverage ${coverage}; give at least ${Math.ceil(1 / tail - ROUNDING) - 1}.`,
    );
  }
  return { lower, upper };
}

/**
 * Threshold that turns away at most the share `falseAbstention` of rows like these: a row is turned away when its score
 * is larger. DATASET_INVALID without scores.
 */
export function abstentionThreshold(scores: ArrayLike<number>, falseAbstention: number): number {
  const sorted = Float64Array.from(scores).sort();
  const at = Math.min(
    sorted.length - 1,
    Math.ceil((sorted.length + 1) * (1 - falseAbstention) - ROUNDING) - 1,
  );
  const threshold = sorted[at];
  if (threshold === undefined) {
    throw new ThalamusError(
      'DATASET_INVALID',
      'No scores were given to choose an abstention threshold from.',
    );
  }
  return threshold;
}
