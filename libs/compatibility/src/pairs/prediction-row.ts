import { ThalamusError } from '@thalamus/errors';

/** One row of a prediction file, checked. */
export interface PredictionRow {
  readonly id: string;
  /** The right label. */
  readonly label: string;
  /** The answer. */
  readonly prediction: string;
  /** How good or how sure the answer is; finite. */
  readonly score?: number;
  /** A slice that the item belongs to, by any name. */
  readonly slice?: string;
  readonly task?: string;
  readonly tenant?: string;
  readonly language?: string;
  /** What was asked; a comparison uses only its length. */
  readonly text?: string;
  /** Tokens of what was asked. */
  readonly tokens?: number;
}

const TEXTS = ['id', 'label', 'prediction', 'slice', 'task', 'tenant', 'language'] as const;
const NEEDED = ['id', 'label', 'prediction'] as const;
/** Fields of a row; any other is an error. */
const KNOWN: ReadonlySet<string> = new Set([...TEXTS, 'score', 'text', 'tokens']);
const TEXT_FIELDS: ReadonlySet<string> = new Set(TEXTS);

/** A value of a file as messages show it: in quotes, cut where it is long. */
export function quoted(value: string): string {
  return value.length > 60 ? `"${value.slice(0, 60)}…"` : `"${value}"`;
}

/** @throws DATASET_INVALID that names file and line: not JSON, fields that are missing, unknown or of another kind */
export function parsePredictionRow(line: string, file: string, number: number): PredictionRow {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw fault(file, number, `is not JSON${hasNoNumber(line) ? NO_NUMBER : ''}.`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw fault(file, number, 'is not a JSON object.');
  const row = value as Record<string, unknown>;
  for (const key in row) checkField(row, key, file, number);
  for (const key of NEEDED)
    if (row[key] === undefined) throw fault(file, number, `needs "${key}" as a text.`);
  // Every field was looked at, and numbers were made texts.
  return row as unknown as PredictionRow;
}

const NO_NUMBER = ': NaN and Infinity are no numbers there; leave the score away, or give a finite one';

function hasNoNumber(line: string): boolean {
  return /:\s*-?(NaN|Infinity)\b/i.test(line);
}

function checkField(row: Record<string, unknown>, key: string, file: string, number: number): void {
  const value = row[key];
  if (TEXT_FIELDS.has(key)) {
    if (typeof value === 'string' && value !== '') return;
    if (typeof value !== 'number') throw fault(file, number, `needs "${key}" as a text.`);
    row[key] = String(value);
    return;
  }
  if (!KNOWN.has(key))
    throw fault(file, number, `has the unknown field ${quoted(key)}; known are ${[...KNOWN].join(', ')}.`);
  if (key === 'text') {
    if (typeof value !== 'string') throw fault(file, number, 'has a "text" that is none.');
    row[key] = value;
  } else if (typeof value !== 'number' || !Number.isFinite(value)) {
    throw fault(file, number, `has ${shown(value)} as "${key}"; give a finite number, or leave it away.`);
  } else if (key === 'tokens' && !(Number.isInteger(value) && value >= 0)) {
    throw fault(file, number, `has ${value} as "tokens"; it is a whole number from 0 on.`);
  }
}

function shown(value: unknown): string {
  if (typeof value === 'string') return `the text ${quoted(value)}`;
  return typeof value === 'object' && value !== null ? 'a list or an object' : String(value);
}

function fault(file: string, number: number, what: string): ThalamusError {
  return new ThalamusError('DATASET_INVALID', `${file}, line ${number} ${what}`);
}
