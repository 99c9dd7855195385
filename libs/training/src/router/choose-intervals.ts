import { intervalAround, type LossInterval } from '@thalamus/routing';
import { scaledInterval } from '../calibration/scaled-interval.js';
import { residualInterval } from '../conformal.js';
import type { OutOfFoldLosses } from './choose-recalibration.js';
import { mean, standardError } from './routed-choices.js';

/** Rows with the region of the embedding space that each lies in. */
export interface RegionLosses extends OutOfFoldLosses {
  readonly regions: ArrayLike<number>;
  /** 0 or 1: no regions. */
  readonly regionCount: number;
}

/** Intervals of one candidate, judged on rows that they were not made from. */
export interface TriedInterval {
  readonly scaled: boolean;
  /** Share of measured losses inside. */
  readonly coverage: number;
  /** The same of the region with the least. */
  readonly worstRegion: number;
  readonly width: number;
  /** Interval score: width plus 2 / (1 - coverage) times what lies outside. */
  readonly score: number;
}

/** Intervals of one candidate. */
export interface ChosenInterval {
  readonly interval: LossInterval;
  /** Plain first; empty when there are too few rows or regions to compare. */
  readonly tried: readonly TriedInterval[];
}

/** Fewest rows of a candidate for intervals by region: half of four fifths of them make the scales. */
const FEWEST_ROWS = 200;

/** A residual of one row. */
interface Residual {
  readonly value: number;
  readonly region: number;
  readonly fold: number;
}

/**
 * Intervals of each candidate: scaled by region where the interval score (Gneiting and Raftery 2007, section 6.2: the proper
 * score of a central interval) on rows that made neither is smaller than that of the plain ones by more than a standard
 * error, else plain. `predicted` are the calibrated losses. Both kinds promise the coverage over all rows; the scaled ones
 * hold it better in regions that are harder or easier than others.
 * @throws DATASET_INVALID when there are too few rows for the coverage
 */
export function chooseIntervals(rows: RegionLosses, coverage: number, seed: number): ChosenInterval[] {
  return Array.from({ length: rows.candidates }, (_, k) => {
    const residuals = residualsOf(rows, k);
    const make = (kind: 'plain' | 'scaled', own: readonly Residual[]): LossInterval =>
      kind === 'plain'
        ? residualInterval(
            own.map(({ value }) => value),
            coverage,
          )
        : scaledInterval(
            {
              residuals: own.map(({ value }) => value),
              regions: own.map(({ region }) => region),
              regionCount: rows.regionCount,
            },
            coverage,
            seed,
          );
    if (rows.regionCount < 2 || residuals.length < FEWEST_ROWS)
      return { interval: make('plain', residuals), tried: [] };
    const plain = crossJudged(residuals, (own) => make('plain', own), coverage);
    const scaled = crossJudged(residuals, (own) => make('scaled', own), coverage);
    const gains = plain.scores.map((score, at) => score - scaled.scores[at]!);
    const isScaled = mean(gains) > standardError(gains);
    return {
      interval: make(isScaled ? 'scaled' : 'plain', residuals),
      tried: [
        { scaled: false, ...plain.figures },
        { scaled: true, ...scaled.figures },
      ],
    };
  });
}

function residualsOf(
  { predicted, measured, candidates, regions, folds }: RegionLosses,
  k: number,
): Residual[] {
  const residuals: Residual[] = [];
  for (let at = k; at < measured.length; at += candidates) {
    if (Number.isNaN(measured[at]!)) continue;
    const row = Math.floor(at / candidates);
    residuals.push({ value: measured[at]! - predicted[at]!, region: regions[row]!, fold: folds[row]! });
  }
  return residuals;
}

/** Each fold judged by intervals from the others, in the order of the residuals. */
function crossJudged(
  residuals: readonly Residual[],
  make: (own: readonly Residual[]) => LossInterval,
  coverage: number,
) {
  const scores = new Float64Array(residuals.length);
  const widths = new Float64Array(residuals.length);
  const inside = new Float64Array(residuals.length);
  for (const fold of new Set(residuals.map((item) => item.fold))) {
    const interval = make(residuals.filter((item) => item.fold !== fold));
    residuals.forEach(({ value, region, fold: own }, at) => {
      if (own !== fold) return;
      const { low, high } = intervalAround(0, region, interval);
      const outside = Math.max(0, low - value) + Math.max(0, value - high);
      widths[at] = high - low;
      inside[at] = outside > 0 ? 0 : 1;
      scores[at] = high - low + (2 / (1 - coverage)) * outside;
    });
  }
  const regions = [...new Set(residuals.map(({ region }) => region))];
  const ofRegion = (region: number) => mean(inside.filter((_, at) => residuals[at]!.region === region));
  return {
    scores,
    figures: {
      coverage: mean(inside),
      worstRegion: Math.min(...regions.map(ofRegion)),
      width: mean(widths),
      score: mean(scores),
    },
  };
}
