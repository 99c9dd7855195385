import { ThalamusError } from '@thalamus/errors';

/** What a version answered to one labelled item. */
export interface Prediction {
  readonly id: string;
  /** The right label. */
  readonly label: string;
  /** The answer. */
  readonly prediction: string;
  /** Named slices that the item belongs to. */
  readonly slices: readonly string[];
}

/**
 * Reads a prediction file: JSONL rows `{id, label, prediction, score?, slice?}`, split on `\n` only. The label of an item
 * is a slice of its own.
 * @throws DATASET_INVALID that names the file and the line: not JSON, missing, unknown or repeated fields or ids, no rows.
 */
export function parsePredictions(text: string, file: string): Prediction[] {
  const rows: Prediction[] = [];
  const seen = new Set<string>();
  text.split('\n').forEach((line, index) => {
    if (line.trim() === '') return;
    const where = `${file}, line ${index + 1}`;
    const row = parseRow(line, where);
    if (seen.has(row.id))
      throw new ThalamusError(
        'DATASET_INVALID',
        `${where}: the id ${quoted(row.id)} stands there twice; every item has one row.`,
      );
    seen.add(row.id);
    rows.push(row);
  });
  if (rows.length === 0) throw new ThalamusError('DATASET_INVALID', `${file} holds no predictions.`);
  return rows;
}

/** A value of a file as messages show it: in quotes, cut where it is long. */
export function quoted(value: string): string {
  return value.length > 60 ? `"${value.slice(0, 60)}…"` : `"${value}"`;
}

const KNOWN = new Set(['id', 'label', 'prediction', 'score', 'slice']);

function parseRow(line: string, where: string): Prediction {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw new ThalamusError('DATASET_INVALID', `${where} is not JSON.`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new ThalamusError('DATASET_INVALID', `${where} is not a JSON object.`);
  const row = value as Record<string, unknown>;
  const unknown = Object.keys(row).find((key) => !KNOWN.has(key));
  if (unknown !== undefined)
    throw new ThalamusError(
      'DATASET_INVALID',
      `${where} has the unknown field ${quoted(unknown)}; known are ${[...KNOWN].join(', ')}.`,
    );
  const text = (key: string): string => {
    const field = row[key];
    if (typeof field === 'string' && field !== '') return field;
    if (typeof field === 'number') return String(field);
    throw new ThalamusError('DATASET_INVALID', `${where} needs "${key}" as a text.`);
  };
  const label = text('label');
  const slice = row['slice'] === undefined ? [] : [text('slice')];
  return { id: text('id'), label, prediction: text('prediction'), slices: [`label=${label}`, ...slice] };
}
