import { ThalamusError } from '@thalamus/errors';
import { parsePredictionRow, quoted } from './pairs/prediction-row.js';

/** What a version answered to one labelled item. */
export interface Prediction {
  readonly id: string;
  /** The right label. */
  readonly label: string;
  /** The answer. */
  readonly prediction: string;
  readonly score?: number;
  /** Named slices that the item belongs to. */
  readonly slices: readonly string[];
}

/**
 * Reads a prediction file: JSONL rows as `FileComparison` takes them, split on `\n` only. The label of an item is a slice of its own; others
 * are what the row names as slice, task, tenant and language.
 * @throws DATASET_INVALID that names the file and the line: not JSON, missing, unknown or repeated fields or ids, no rows.
 */
export function parsePredictions(text: string, file: string): Prediction[] {
  const rows: Prediction[] = [];
  const seen = new Set<string>();
  text.split('\n').forEach((line, index) => {
    const own = index === 0 ? line.replace(/^\uFEFF/, '') : line;
    if (own.trim() === '') return;
    const { id, label, prediction, score, ...row } = parsePredictionRow(own, file, index + 1);
    if (seen.has(id))
      throw new ThalamusError(
        'DATASET_INVALID',
        `${file}, line ${index + 1}: the id ${quoted(id)} stands there twice; every item has one row.`,
      );
    seen.add(id);
    const named = (['task', 'tenant', 'language'] as const).flatMap((field) =>
      row[field] === undefined ? [] : [`${field}=${row[field]}`],
    );
    const slices = [`label=${label}`, ...(row.slice === undefined ? [] : [row.slice]), ...named];
    rows.push({ id, label, prediction, ...(score === undefined ? {} : { score }), slices });
  });
  if (rows.length === 0) throw new ThalamusError('DATASET_INVALID', `${file} holds no predictions.`);
  return rows;
}
