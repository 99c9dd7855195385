import { regionOfStage, stageVerdict, type StageGate } from '@thalamus/routing';
import { chooseIntervals } from './choose-intervals.js';
import { judgeOf } from './choose-learner.js';
import { chooseThreshold, type ThresholdChoice } from './choose-threshold.js';
import { fitCalibration, regionsOf, type FittedCalibration, type RowRegions } from './fit-calibration.js';
import type { FittedStage } from './fit-stage.js';
import { columnMeans } from './loss-matrix.js';

/** Two stages that were fitted on the same rows. */
export interface CascadeFit {
  readonly first: FittedStage;
  readonly second: FittedStage;
  readonly unit: 'nats' | 'error';
  readonly coverage: number;
  readonly seed: number;
}

/** When the second stage decides, and the calibration of both together. */
export interface FittedCascade {
  readonly gate: StageGate;
  readonly thresholds: ThresholdChoice;
  /** Of the losses as they are served, by whichever stage decides. The regions of the second stage follow those of the first. */
  readonly calibration: FittedCalibration;
}

/** Who is better by less does not matter: a share of the gap between the mean losses of the best and the worst candidate. */
const MARGIN_SHARE = 0.05;

/**
 * Fits when a prompt goes to the second stage. Whether a row has a rival is told by intervals of the other folds; the threshold is
 * chosen on predictions by heads that had not seen the row, and maps, intervals and rows for bounds on the risk are then made from
 * the losses of the stage that decides each row. The threshold, one number of 21, has seen all of them.
 * @throws DATASET_INVALID for too few rows
 */
export function fitCascade(fit: CascadeFit): FittedCascade {
  const { first, second, unit, coverage, seed } = fit;
  const rows = first.judged;
  const { candidates } = rows;
  const own = regionsOf(rows, seed);
  const regions = Math.max(1, own.regionCount);
  const means = columnMeans(rows.losses, candidates);
  const margin = MARGIN_SHARE * (Math.max(...means) - Math.min(...means));
  const gate = { margin, regions };
  const thresholds = chooseThreshold(
    { first: first.predicted, second: second.predicted, candidates, gaps: gapsOf(fit, own, gate) },
    judgeOf(rows),
  );
  const staged = thresholds.isSecond.map((isSecond, row) => regionOfStage(own.regions[row]!, isSecond, gate));
  return {
    gate: {
      ...gate,
      threshold: thresholds.chosen.threshold,
      intervals: intervalsOf(fit, own, () => true),
    },
    thresholds,
    calibration: fitCalibration({
      rows,
      predicted: thresholds.predicted,
      regions: { centroids: own.centroids, regionCount: 2 * regions, regions: staged },
      unit,
      coverage,
      seed,
    }),
  };
}

/** How near the first stage finds a rival of each row, by intervals of the other folds. */
function gapsOf(
  fit: CascadeFit,
  { regions, ...own }: RowRegions,
  gate: Pick<StageGate, 'margin' | 'regions'>,
): Float64Array {
  const { judged, predicted } = fit.first;
  const { folds, candidates } = judged;
  const gaps = new Float64Array(folds.length);
  for (const fold of new Set(folds)) {
    const intervals = intervalsOf(fit, { ...own, regions }, (row) => folds[row] !== fold);
    folds.forEach((at, row) => {
      if (at !== fold) return;
      const losses = predicted.subarray(row * candidates, (row + 1) * candidates);
      gaps[row] = stageVerdict(losses, regions[row]!, { ...gate, threshold: 0, intervals }).gap;
    });
  }
  return gaps;
}

/** Intervals of the first stage's losses, from the rows that are kept. */
function intervalsOf(
  { first: { judged, predicted }, unit, coverage, seed }: CascadeFit,
  { regions, regionCount }: RowRegions,
  isKept: (row: number) => boolean,
) {
  const { losses, candidates, folds } = judged;
  const measured = losses.map((loss, at) => (isKept(Math.floor(at / candidates)) ? loss : NaN));
  const rows = { predicted, measured, candidates, folds, unit, regions, regionCount };
  return chooseIntervals(rows, coverage, seed).map(({ interval }) => interval);
}
