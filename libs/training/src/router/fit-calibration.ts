import { regionIds, type LossCalibration } from '@thalamus/routing';
import { sphericalKMeans } from '../spherical-k-means.js';
import { judgeOf, recalibration, type ChoiceRows } from './choose-learner.js';
import { chooseIntervals, type ChosenInterval } from './choose-intervals.js';
import { chooseRecalibration, type ChosenRecalibration } from './choose-recalibration.js';

/** What is calibrated. */
export interface CalibrationFit {
  /** Rows that learners were judged on. */
  readonly rows: ChoiceRows;
  /** Losses that heads which had not seen the row predict, brought to the mean of each candidate: [rows, candidates]. */
  readonly predicted: Float64Array;
  readonly regions: RowRegions;
  /** Whether maps from predicted to measured losses are tried; true when absent. */
  readonly isMapped?: boolean;
  readonly unit: 'nats' | 'error';
  readonly coverage: number;
  readonly seed: number;
}

/** Regions of the vector space, and the one that each row lies in. */
export interface RowRegions {
  /** Centres, [count, dimension]; undefined when there are too few rows for two. */
  readonly centroids: Float32Array | undefined;
  /** 0 without centres. */
  readonly regionCount: number;
  readonly regions: ArrayLike<number>;
}

/** A calibration with what it was chosen by. */
export interface FittedCalibration extends Omit<RowRegions, 'regions'> {
  readonly calibration: LossCalibration;
  readonly recalibration: Omit<ChosenRecalibration, 'maps' | 'crossFitted'>;
  readonly intervals: readonly ChosenInterval[];
  /** Calibrated losses of the rows, by heads and maps that had not seen the row: [rows, candidates]. */
  readonly outOfFold: Float64Array;
}

/** Most regions, and fewest rows of one on average. */
const MOST_REGIONS = 16;
const ROWS_OF_REGION = 100;

/** Calibration of heads from predictions of rows that they had not seen. @throws DATASET_INVALID for too few rows */
export function fitCalibration(fit: CalibrationFit): FittedCalibration {
  const { rows, predicted, unit, coverage, seed, isMapped = true } = fit;
  const { centroids, regionCount, regions } = fit.regions;
  const { candidates, losses: measured, folds } = rows;
  const outOfFold = { predicted, measured, candidates, folds, unit };
  const { maps, crossFitted, ...recalibration } = chooseRecalibration(outOfFold, judgeOf(rows), isMapped);
  const intervals = chooseIntervals(
    { ...outOfFold, predicted: crossFitted, regions, regionCount },
    coverage,
    seed,
  );
  return {
    calibration: {
      ...(maps ? { recalibration: maps } : {}),
      intervals: intervals.map(({ interval }) => interval),
    },
    centroids,
    regionCount,
    recalibration,
    intervals,
    outOfFold: crossFitted,
  };
}

/** Slope and offset of each candidate, which go into the heads, and predictions of rows that they are applied to. */
export function centredLosses(predicted: Float64Array, { losses, candidates }: ChoiceRows) {
  const { slope, offset } = recalibration(predicted, losses, candidates);
  return {
    slope,
    offset,
    predicted: predicted.map((loss, at) => offset[at % candidates]! + slope[at % candidates]! * loss),
  };
}

/** Regions of rows by their vectors. */
export function regionsOf({ features, dimension, folds }: ChoiceRows, seed: number): RowRegions {
  const count = Math.min(MOST_REGIONS, Math.floor(folds.length / ROWS_OF_REGION));
  if (count < 2) return { centroids: undefined, regionCount: 0, regions: new Uint32Array(folds.length) };
  const centroids = sphericalKMeans(features, dimension, count, seed);
  return {
    centroids,
    regionCount: centroids.length / dimension,
    regions: regionIds(features, centroids, dimension),
  };
}
