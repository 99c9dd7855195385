import { ThalamusError } from '@thalamus/errors';
import { parsePredictionRow, quoted, type PredictionRow } from './prediction-row.js';

/** What a version answered. */
export interface JudgedAnswer {
  readonly prediction: string;
  readonly isRight: boolean;
  /** As the row says it. */
  readonly score?: number;
}

/** A prompt with what two versions answered. */
export interface AnsweredPrompt {
  readonly id: string;
  readonly text: string;
  /** Kinds of prompt that it belongs to: `slice` as it stands, others as `task=NAME`. */
  readonly slices: readonly string[];
  readonly before: JudgedAnswer;
  readonly after: JudgedAnswer;
}

/** A prediction file that was read. */
export interface PredictionText {
  /** For messages. */
  readonly file: string;
  readonly text: string;
}

/** Most prompts that are taken. */
const MAX_PROMPTS = 100_000;
/** Longest prompt, UTF-16 units. */
const MAX_PROMPT_LENGTH = 1_048_576;
const NAMED_SLICES = ['task', 'tenant', 'language'] as const;

type NumberedRow = PredictionRow & { readonly line: number };

/**
 * Pairs the rows of two prediction files, item by item, with their prompts: those that `FileComparison` takes, where one of the two files
 * says the text of each item. In the order of the first file.
 * @throws DATASET_INVALID that names file and line: what `parsePredictions` refuses; an item of one file alone; another label, text or
 * slice of the same item; no text, or one that is too long; more rows than are taken; where `isScored`, a row without a score from 0 to 1
 */
export function pairAnswers(
  before: PredictionText,
  after: PredictionText,
  { isScored = false } = {},
): AnsweredPrompt[] {
  const old = rowsOf(before);
  const own = rowsOf(after);
  if (isScored) {
    requireScores(before, old);
    requireScores(after, own);
  }
  for (const [id, { line }] of own)
    if (!old.has(id)) throw fault(after, line, `: the item ${quoted(id)} is not in ${before.file}; ${ALIKE}`);
  return [...old].map(([id, row]) => {
    const other = own.get(id);
    if (!other) throw fault(before, row.line, `: the item ${quoted(id)} is not in ${after.file}; ${ALIKE}`);
    for (const field of ['label', 'text', 'slice', ...NAMED_SLICES] as const)
      if (row[field] !== undefined && other[field] !== undefined && row[field] !== other[field])
        throw fault(
          after,
          other.line,
          `: the item ${quoted(id)} has another ${field} than on line ${row.line} of ${before.file}; give it one in both files.`,
        );
    const text = row.text ?? other.text;
    if (text === undefined || text.trim() === '')
      throw fault(
        before,
        row.line,
        `: the item ${quoted(id)} has no "text" in either file; a router reads the prompt, so give it in one of them.`,
      );
    if (text.length > MAX_PROMPT_LENGTH)
      throw fault(before, row.line, `: the text of ${quoted(id)} is longer than ${MAX_PROMPT_LENGTH} units.`);
    return {
      id,
      text,
      slices: slicesOf({ ...other, ...row }),
      before: answerOf(row),
      after: answerOf(other),
    };
  });
}

const ALIKE = 'both versions must answer the same items.';

function rowsOf(source: PredictionText): Map<string, NumberedRow> {
  const rows = new Map<string, NumberedRow>();
  source.text.split('\n').forEach((line, index) => {
    const own = index === 0 ? line.replace(/^\uFEFF/, '') : line;
    if (own.trim() === '') return;
    const row = parsePredictionRow(own, source.file, index + 1);
    const known = rows.get(row.id);
    if (known)
      throw fault(
        source,
        index + 1,
        `: the id ${quoted(row.id)} stands on line ${known.line} already; every item has one row.`,
      );
    if (rows.size === MAX_PROMPTS)
      throw fault(source, index + 1, ` is one too many; at most ${MAX_PROMPTS} prompts are taken.`);
    rows.set(row.id, { ...row, line: index + 1 });
  });
  if (rows.size === 0) throw new ThalamusError('DATASET_INVALID', `${source.file} holds no predictions.`);
  return rows;
}

function requireScores(source: PredictionText, rows: ReadonlyMap<string, NumberedRow>): void {
  for (const { id, score, line } of rows.values())
    if (score === undefined || score < 0 || score > 1)
      throw fault(
        source,
        line,
        `: the item ${quoted(id)} has ${score === undefined ? 'no score' : `the score ${score}`}; give every row one from 0 (worst) to 1, or let losses be made of right and wrong answers.`,
      );
}

function slicesOf(row: PredictionRow): string[] {
  return [
    ...(row.slice === undefined ? [] : [row.slice]),
    ...NAMED_SLICES.flatMap((name) => (row[name] === undefined ? [] : [`${name}=${row[name]}`])),
  ];
}

function answerOf({ label, prediction, score }: PredictionRow): JudgedAnswer {
  return { prediction, isRight: prediction === label, ...(score === undefined ? {} : { score }) };
}

function fault({ file }: PredictionText, line: number, what: string): ThalamusError {
  return new ThalamusError('DATASET_INVALID', `${file}, line ${line}${what}`);
}
