import type { LossHeads, SingleLossHeads } from '@thalamus/routing';
import { residualInterval, type ResidualInterval } from '../conformal.js';
import { recalibration } from './choose-learner.js';
import {
  columnSettings,
  fitColumn,
  predictColumns,
  someRows,
  withColumn,
  type ColumnRows,
  type ColumnSetting,
} from './head-column.js';
import { rescaled } from './learners.js';

/** Rows that a head for one more candidate is fitted on, with the fold of each. */
export interface ExtensionRows extends ColumnRows {
  readonly folds: Uint8Array;
}

/** Heads with one candidate more. */
export interface ExtendedHeads {
  readonly heads: LossHeads;
  /** Of the residuals of rows that the new head was not fitted on. */
  readonly interval: ResidualInterval;
  /** What was taken for each part of the heads. */
  readonly settings: readonly ColumnSetting[];
  /** Mean distance of predicted from measured loss on rows that the head was not fitted on; and that of the mean loss alone. */
  readonly meanError: number;
  readonly meanErrorOfMean: number;
}

/** A column that was fitted for one part of heads, and its predictions of rows that it was not fitted on. */
export interface ChosenColumn {
  readonly setting: ColumnSetting;
  readonly column: SingleLossHeads;
  readonly predicted: Float64Array;
}

/**
 * Fits a head for one more candidate. What the others read and predict stays to the bit: encoder, gate, hidden layer, keys, and their own
 * weights. Settings are chosen for each part by cross-validation, by the square error; slope, offset and the interval come from
 * predictions of rows that the head had not seen. An average gets a column in each of its parts.
 * @throws DATASET_INVALID for too few rows for an interval of that coverage
 */
export function extendHeads(heads: LossHeads, rows: ExtensionRows, coverage: number): ExtendedHeads {
  const columns = partsOf(heads).map((part) => chosenColumn(part.heads, rows));
  return extendedBy(heads, columns, { losses: rows.losses, coverage });
}

/** Heads with columns that were chosen for their parts, in order. @throws DATASET_INVALID as `extendHeads` does */
export function extendedBy(
  heads: LossHeads,
  columns: readonly ChosenColumn[],
  { losses, coverage }: { readonly losses: Float64Array; readonly coverage: number },
): ExtendedHeads {
  const parts = partsOf(heads);
  const total = parts.reduce((sum, { share }) => sum + share, 0);
  const outOfFold = losses.map((_, row) =>
    parts.reduce((sum, { share }, at) => sum + (share / total) * columns[at]!.predicted[row]!, 0),
  );
  const { slope, offset } = recalibration(outOfFold, losses, 1);
  const [a, b] = [slope[0]!, offset[0]!];
  const extended = parts.map((part, at) => ({
    share: part.share,
    // The shares of an average need not add to one; its offsets must.
    heads: withColumn(part.heads, rescaled(columns[at]!.column, [a / total], [b / total]) as SingleLossHeads),
  }));
  const residuals = losses.map((loss, row) => loss - (b + a * outOfFold[row]!));
  const mean = losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
  return {
    heads: heads.kind === 'average' ? { ...heads, parts: extended } : extended[0]!.heads,
    interval: residualInterval(residuals, coverage),
    settings: columns.map(({ setting }) => setting),
    meanError: meanSize(residuals),
    meanErrorOfMean: meanSize(losses.map((loss) => loss - mean)),
  };
}

const partsOf = (heads: LossHeads) => (heads.kind === 'average' ? heads.parts : [{ share: 1, heads }]);

/** The column of the setting with the least square error out of fold, fitted on all rows, and those predictions. */
export function chosenColumn(heads: SingleLossHeads, rows: ExtensionRows): ChosenColumn {
  const settings = columnSettings(heads.kind);
  const outOfFold = settings.map(() => new Float64Array(rows.losses.length));
  const folds = Math.max(...rows.folds) + 1;
  for (let fold = 0; fold < folds; fold++) {
    const [inside, outside]: [number[], number[]] = [[], []];
    rows.folds.forEach((own, row) => (own === fold ? outside : inside).push(row));
    if (outside.length === 0) continue;
    const columns = fitColumn(heads, someRows(rows, inside), settings);
    const predicted = predictColumns(columns, someRows(rows, outside).features);
    predicted.forEach((loss, at) => {
      outOfFold[at % settings.length]![outside[Math.floor(at / settings.length)]!] = loss;
    });
  }
  const errors = outOfFold.map((predicted) =>
    predicted.reduce((sum, loss, row) => sum + (loss - rows.losses[row]!) ** 2, 0),
  );
  const best = errors.indexOf(Math.min(...errors));
  const setting = settings[best]!;
  return { setting, predicted: outOfFold[best]!, column: fitColumn(heads, rows, [setting])[0]! };
}

const meanSize = (values: Float64Array) =>
  values.reduce((sum, value) => sum + Math.abs(value), 0) / values.length;
