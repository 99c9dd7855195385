import { regionIds, type LossCalibration } from '@thalamus/routing';
import { sphericalKMeans } from '../spherical-k-means.js';
import { judgeOf, recalibration as slopes, type ChoiceRows } from './choose-learner.js';
import { chooseIntervals, type ChosenInterval } from './choose-intervals.js';
import { chooseRecalibration, type ChosenRecalibration } from './choose-recalibration.js';

/** What is calibrated. */
export interface CalibrationFit {
  /** Rows that learners were judged on. */
  readonly rows: ChoiceRows;
  /** Losses that heads which had not seen the row predict: [rows, candidates]. */
  readonly predicted: Float64Array;
  readonly unit: 'nats' | 'error';
  readonly coverage: number;
  readonly seed: number;
}

/** A calibration with what it was chosen by. */
export interface FittedCalibration {
  /** Brings the losses of heads to the mean of each candidate; goes into the heads themselves. */
  readonly slope: Float64Array;
  readonly offset: Float64Array;
  readonly calibration: LossCalibration;
  /** Centres of regions, [count, dimension]; undefined when there are too few rows for two. */
  readonly centroids: Float32Array | undefined;
  /** 0 without centres. */
  readonly regionCount: number;
  readonly recalibration: Omit<ChosenRecalibration, 'maps' | 'crossFitted'>;
  readonly intervals: readonly ChosenInterval[];
  /** Calibrated losses of the rows, by heads and maps that had not seen the row: [rows, candidates]. */
  readonly outOfFold: Float64Array;
}

/** Most regions, and fewest rows of one on average. */
const MOST_REGIONS = 16;
const ROWS_OF_REGION = 100;

/** Calibration of heads from predictions of rows that they had not seen. @throws DATASET_INVALID for too few rows */
export function fitCalibration({ rows, predicted, unit, coverage, seed }: CalibrationFit): FittedCalibration {
  const { candidates, losses: measured, folds } = rows;
  const { slope, offset } = slopes(predicted, measured, candidates);
  const centred = predicted.map((loss, at) => offset[at % candidates]! + slope[at % candidates]! * loss);
  const outOfFold = { predicted: centred, measured, candidates, folds, unit };
  const { maps, crossFitted, ...recalibration } = chooseRecalibration(outOfFold, judgeOf(rows));
  const centroids = regionsOf(rows, seed);
  const regions = centroids ? regionIds(rows.features, centroids, rows.dimension) : folds.map(() => 0);
  const regionCount = centroids ? centroids.length / rows.dimension : 0;
  const intervals = chooseIntervals(
    { ...outOfFold, predicted: crossFitted, regions, regionCount },
    coverage,
    seed,
  );
  return {
    slope,
    offset,
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

function regionsOf({ features, dimension, folds }: ChoiceRows, seed: number): Float32Array | undefined {
  const count = Math.min(MOST_REGIONS, Math.floor(folds.length / ROWS_OF_REGION));
  return count < 2 ? undefined : sphericalKMeans(features, dimension, count, seed);
}
