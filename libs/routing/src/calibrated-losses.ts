import type { Prediction } from './decide.js';
import { recalibrate, type Recalibration } from './recalibrate.js';

/** Interval of one candidate's measured loss around its prediction, in the loss unit. */
export interface LossInterval {
  /** Quantiles of measured less predicted loss. */
  readonly lower: number;
  readonly upper: number;
  /** By region: what both quantiles are multiplied by; 1 when absent. */
  readonly scales?: readonly number[] | undefined;
}

/** What stands between the losses that heads give and those that a decision reads. */
export interface LossCalibration {
  /** By candidate; absent: losses are taken as the heads give them. */
  readonly recalibration?: readonly Recalibration[] | undefined;
  /** By candidate. */
  readonly intervals: readonly LossInterval[];
}

/** Calibrated losses [prompts, candidates] of losses as heads give them. */
export function calibratedLosses(
  losses: ArrayLike<number>,
  candidates: number,
  { recalibration }: Pick<LossCalibration, 'recalibration'>,
): Float64Array {
  return Float64Array.from(losses, (loss, at) => {
    const map = recalibration?.[at % candidates];
    return map ? recalibrate(map, loss) : loss;
  });
}

/** Of a router model: candidates in the order of the heads, and their calibration. */
export interface CalibratedCandidates {
  readonly candidates: readonly { readonly expert: string }[];
  readonly calibration: LossCalibration;
}

/** Predictions for one prompt of a region, by expert, from the losses [candidates] that heads give for it. */
export function calibratedPredictions(
  losses: ArrayLike<number>,
  region: number,
  { candidates, calibration }: CalibratedCandidates,
): Map<string, Prediction> {
  const calibrated = calibratedLosses(losses, candidates.length, calibration);
  return new Map(
    candidates.map(({ expert }, k) => {
      const loss = calibrated[k]!;
      const ends = intervalAround(loss, region, calibration.intervals[k]);
      return [expert, { loss, raw: losses[k]!, ...ends }];
    }),
  );
}

/** Ends of the interval around a calibrated loss; the loss itself without an interval. */
export function intervalAround(
  loss: number,
  region: number,
  interval: LossInterval | undefined,
): { readonly low: number; readonly high: number } {
  const scale = interval?.scales?.[region] ?? 1;
  return { low: loss + scale * (interval?.lower ?? 0), high: loss + scale * (interval?.upper ?? 0) };
}
