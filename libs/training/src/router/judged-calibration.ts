import type { RouterManifest } from '@thalamus/bundle';
import { intervalAround } from '@thalamus/routing';
import { brierFigures, calibrationFigures, type ReliabilityBin } from '../calibration/reliability.js';
import { mean } from './routed-choices.js';

/** How far predicted losses are from measured ones. */
export interface CalibrationSummary {
  /** Debiased calibration error over 15 bins of equal mass, in the loss unit. */
  readonly ece: number;
  /** The same as it is counted. */
  readonly plainEce: number;
  /** Mean squared difference; of errors the Brier score. */
  readonly brier: number;
  /** Predicted and measured means by predicted loss; standard error of their difference, null for one row. */
  readonly reliability: readonly (Omit<ReliabilityBin, 'error'> & { readonly error: number | null })[];
}

/** Calibration of a router on rows. */
export interface JudgedCalibration {
  /** What the router model does to the losses of its heads. */
  readonly recalibration: 'none' | 'isotonic' | 'beta';
  /** Pairs of a predicted and a measured loss. */
  readonly n: number;
  /** Of the losses of the heads. */
  readonly before: CalibrationSummary;
  /** Of the losses that decisions read. */
  readonly after: CalibrationSummary;
}

/** How well intervals hold. */
export interface JudgedIntervals {
  /** Share that they are made to hold. */
  readonly promised: number;
  /** Share of measured losses inside. */
  readonly coverage: number;
  readonly meanWidth: number;
  /** By region of the embedding space, where the router model has any. */
  readonly regions: readonly { readonly region: number; readonly n: number; readonly coverage: number }[];
}

/** Predicted and measured losses [rows, candidates]; NaN in the measured ones for no result. */
export interface PredictedRows {
  /** As the heads give them. */
  readonly raw: ArrayLike<number>;
  /** As decisions read them. */
  readonly predicted: ArrayLike<number>;
  readonly measured: Float64Array;
  /** Region of each row. */
  readonly regions: ArrayLike<number>;
}

/** Calibration before and after what the router model does to the losses of its heads. */
export function judgedCalibration(rows: PredictedRows, manifest: RouterManifest): JudgedCalibration {
  const known = Array.from(rows.measured.keys()).filter((at) => !Number.isNaN(rows.measured[at]!));
  const of = (predicted: ArrayLike<number>) => summaryOf(predicted, rows.measured, known, manifest.lossUnit);
  return {
    recalibration: manifest.calibration.recalibration?.[0]?.kind ?? 'none',
    n: known.length,
    before: of(rows.raw),
    after: of(rows.predicted),
  };
}

/** An error is a probability: predictions outside of 0 to 1 count as its ends. */
function summaryOf(
  predicted: ArrayLike<number>,
  measured: Float64Array,
  known: readonly number[],
  unit: RouterManifest['lossUnit'],
): CalibrationSummary {
  const value = (loss: number) => (unit === 'error' ? Math.min(1, Math.max(0, loss)) : loss);
  const pairs = {
    predicted: Float64Array.from(known, (at) => value(predicted[at]!)),
    measured: Float64Array.from(known, (at) => measured[at]!),
  };
  const { debiased, plain, bins } = calibrationFigures(pairs);
  return {
    ece: debiased,
    plainEce: plain,
    brier: brierFigures(pairs).score,
    reliability: bins.map((bin) => ({ ...bin, error: Number.isFinite(bin.error) ? bin.error : null })),
  };
}

/** Coverage and width of the intervals of the router model. */
export function judgedIntervals(
  { predicted, measured, regions }: PredictedRows,
  { calibration, candidates, regionCount = 0 }: RouterManifest,
): JudgedIntervals {
  const known = Array.from(measured.keys()).filter((at) => !Number.isNaN(measured[at]!));
  const regionOf = (at: number) => regions[Math.floor(at / candidates.length)]!;
  const endsOf = (at: number) =>
    intervalAround(predicted[at]!, regionOf(at), calibration.intervals[at % candidates.length]);
  const isInside = (at: number) => {
    const { low, high } = endsOf(at);
    return measured[at]! >= low - 1e-9 && measured[at]! <= high + 1e-9 ? 1 : 0;
  };
  return {
    promised: calibration.coverage,
    coverage: mean(known.map(isInside)),
    meanWidth: mean(
      known.map((at) => {
        const { low, high } = endsOf(at);
        return high - low;
      }),
    ),
    regions: Array.from({ length: regionCount }, (_, region) => known.filter((at) => regionOf(at) === region))
      .map((own, region) => ({ region, n: own.length, coverage: mean(own.map(isInside)) }))
      .filter(({ n }) => n > 0),
  };
}
