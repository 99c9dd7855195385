import { recalibrate, type Recalibration } from '@thalamus/routing';
import { fitBeta, fitIsotonic, type CalibrationPairs } from '../calibration/fit-recalibration.js';
import { calibrationFigures } from '../calibration/reliability.js';
import type { RegretJudge } from './choose-learner.js';
import { centredKnots } from './isotonic-knots.js';
import { mean, standardError } from './routed-choices.js';

/** Rows whose losses were predicted by heads that had not seen them. */
export interface OutOfFoldLosses {
  /** [rows, candidates] */
  readonly predicted: Float64Array;
  /** [rows, candidates]; NaN for no result. */
  readonly measured: Float64Array;
  readonly candidates: number;
  /** Fold of each row, from 0. */
  readonly folds: Uint8Array;
  readonly unit: 'nats' | 'error';
}

/** A way to recalibrate, judged on rows that the maps were not fitted on. */
export interface TriedRecalibration {
  readonly kind: 'none' | Recalibration['kind'];
  /** One map for all candidates, or one for each. */
  readonly scope: 'all' | 'each';
  /** Debiased calibration error, in the loss unit. */
  readonly ece: number;
  /** Mean squared difference of measured and predicted loss; of errors the Brier score. */
  readonly brier: number;
  /** How much smaller than without recalibration, and the standard error of that difference over rows. */
  readonly gain: number;
  readonly gainError: number;
  /** As in the choice of a learner, at a cost weight of 0 and over all weights. */
  readonly regret: number;
  readonly costRegret: number;
  /** How much more the choices lose than without it, over all cost weights, and the standard error of that. */
  readonly behind: number;
  readonly behindError: number;
}

/** A recalibration that was chosen. */
export interface ChosenRecalibration {
  readonly tried: readonly TriedRecalibration[];
  readonly chosen: TriedRecalibration;
  /** One sentence. */
  readonly why: string;
  /** By candidate, fitted on all rows; undefined when none is taken. */
  readonly maps: readonly Recalibration[] | undefined;
  /** Losses of the rows as maps that had not seen the row give them: [rows, candidates]. */
  readonly crossFitted: Float64Array;
}

type Way = Pick<TriedRecalibration, 'kind' | 'scope'>;

const NONE: Way = { kind: 'none', scope: 'all' };

/**
 * Chooses how predicted losses are brought to measured ones. Every way is fitted on all folds but one and judged on that one.
 * The least calibration error is taken among those that do not cost anything else: a mean square within a standard error of
 * that without recalibration, choices that lose no more where costs do not count, and no more than a standard error where
 * they do. (A map keeps the order of the predictions of one candidate, not that of two candidates with maps of their own, and
 * it moves predictions against costs.) Where `isMapped` is false none is tried.
 */
export function chooseRecalibration(
  rows: OutOfFoldLosses,
  judge: RegretJudge,
  isMapped = true,
): ChosenRecalibration {
  const tried = (isMapped ? waysOf(rows) : [NONE]).map((way) => {
    const crossFitted = way.kind === 'none' ? rows.predicted : crossFit(rows, way);
    return { way, crossFitted, figures: figuresOf(rows, crossFitted, judge) };
  });
  const none = tried[0]!;
  const listed = tried.map(({ way, figures }): TriedRecalibration => {
    const { squares, perRow, ...own } = figures;
    const gains = none.figures.squares.map((square, row) => square - squares[row]!);
    const beyond = perRow.map((regret, row) => regret - none.figures.perRow[row]!);
    return {
      ...way,
      ...own,
      gain: mean(gains),
      gainError: standardError(gains),
      behind: mean(beyond),
      behindError: standardError(beyond),
    };
  });
  const chosen = listed
    .filter((item) => costsNothing(item, listed[0]!))
    .reduce((a, b) => (b.ece < a.ece ? b : a), listed[0]!);
  return {
    tried: listed,
    chosen,
    why: reasonOf(chosen, listed[0]!),
    maps: chosen.kind === 'none' ? undefined : fitMaps(rows, chosen, () => true),
    crossFitted: tried[listed.indexOf(chosen)]!.crossFitted,
  };
}

function waysOf({ unit }: OutOfFoldLosses): Way[] {
  const kinds: Recalibration['kind'][] = unit === 'error' ? ['beta', 'isotonic'] : ['isotonic'];
  return [
    NONE,
    ...kinds.flatMap((kind): Way[] => [
      { kind, scope: 'all' },
      { kind, scope: 'each' },
    ]),
  ];
}

function costsNothing(item: TriedRecalibration, none: TriedRecalibration): boolean {
  return item.gain >= -item.gainError && item.regret <= none.regret && item.behind <= item.behindError;
}

function crossFit(rows: OutOfFoldLosses, way: Way): Float64Array {
  const { predicted, candidates, folds } = rows;
  const result = new Float64Array(predicted.length);
  for (const fold of new Set(folds)) {
    const maps = fitMaps(rows, way, (row) => folds[row] !== fold);
    predicted.forEach((loss, at) => {
      if (folds[Math.floor(at / candidates)] === fold) result[at] = recalibrate(maps[at % candidates]!, loss);
    });
  }
  return result;
}

/** A map for each candidate from the rows that are kept. */
function fitMaps(rows: OutOfFoldLosses, way: Way, isKept: (row: number) => boolean): Recalibration[] {
  const { candidates } = rows;
  const fit = (pairs: CalibrationPairs) =>
    way.kind === 'beta' ? fitBeta(pairs) : centredKnots(fitIsotonic(pairs));
  if (way.scope === 'all') {
    const shared = fit(pairsOf(rows, isKept));
    return Array.from({ length: candidates }, () => shared);
  }
  return Array.from({ length: candidates }, (_, k) => fit(pairsOf(rows, isKept, k)));
}

/** Predictions with a result, of one candidate or of all. */
function pairsOf(
  { predicted, measured, candidates }: OutOfFoldLosses,
  isKept: (row: number) => boolean,
  only?: number,
): CalibrationPairs {
  const kept = Array.from(predicted.keys()).filter(
    (at) =>
      !Number.isNaN(measured[at]!) &&
      (only === undefined || at % candidates === only) &&
      isKept(Math.floor(at / candidates)),
  );
  return {
    predicted: Float64Array.from(kept, (at) => predicted[at]!),
    measured: Float64Array.from(kept, (at) => measured[at]!),
  };
}

function figuresOf(rows: OutOfFoldLosses, crossFitted: Float64Array, judge: RegretJudge) {
  const { measured, candidates } = rows;
  const pairs = pairsOf({ ...rows, predicted: crossFitted }, () => true);
  const squares = Float64Array.from({ length: measured.length / candidates }, (_, row) => {
    const own: number[] = [];
    for (let at = row * candidates; at < (row + 1) * candidates; at++)
      if (!Number.isNaN(measured[at]!)) own.push((measured[at]! - crossFitted[at]!) ** 2);
    return own.length === 0 ? 0 : mean(own);
  });
  const { regret, costRegret, perRow } = judge.of(crossFitted);
  const ece = calibrationFigures(pairs).debiased;
  return { squares, perRow, ece, brier: mean(squares), regret, costRegret };
}

function reasonOf(chosen: TriedRecalibration, none: TriedRecalibration): string {
  if (chosen.kind === 'none')
    return `predicted losses stand as the heads give them: their calibration error is ${none.ece.toFixed(4)}, and nothing makes it smaller without costing accuracy or choices.`;
  const maps = chosen.scope === 'all' ? 'one map for all models' : 'a map for each model';
  return `${chosen.kind}, ${maps}: the calibration error falls from ${none.ece.toFixed(4)} to ${chosen.ece.toFixed(4)}; the mean square goes from ${none.brier.toFixed(4)} to ${chosen.brier.toFixed(4)}, and choices lose no more.`;
}
