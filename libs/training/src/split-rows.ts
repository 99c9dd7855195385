import { createHash } from 'node:crypto';
import { ThalamusError } from '@thalamus/errors';

/** What a row of a train file of the zoo may be used for. */
export type RowUse = 'expert' | 'router' | 'validation';

/** Shares of the uses, in per cent; they add up to 100. */
export type SplitRule = Readonly<Record<RowUse, number>>;

/**
 * Use of a row by a hash of its text (case and white space do not matter), so that the same text is never in two parts,
 * whatever the order of the file.
 */
export function rowUse(text: string, rule: SplitRule): RowUse {
  const bucket = bucketOf(text, 'split-v1');
  if (bucket < rule.expert) return 'expert';
  return bucket < rule.expert + rule.router ? 'router' : 'validation';
}

/** Rows by what they are used for when an expert is trained. */
export interface TrainingSplit<T> {
  readonly train: readonly T[];
  readonly validation: readonly T[];
  /** Empty when a test set of its own is given. */
  readonly test: readonly T[];
}

/** How rows are split. */
export interface SplitOptions {
  /** Another seed holds out other rows. */
  readonly seed: number;
  /** True when no test set is given: 15 % of the rows are held out for it. */
  readonly holdOutTest: boolean;
  /** Shown in messages. */
  readonly file: string;
}

/** Share of the rows that choose the regularisation, in per cent; and that judge the result. */
const HELD_OUT_PERCENT = 15;

/**
 * Splits rows by a hash of their text and the seed: 15 % for validation and, when asked for, 15 % for test. Equal texts
 * stay together. A label whose every row was held out goes to training, since nothing else could learn it.
 * @throws DATASET_INVALID with one label only, or too few rows to hold any out.
 */
export function splitForTraining<T extends { readonly text: string; readonly label: string }>(
  rows: readonly T[],
  options: SplitOptions,
): TrainingSplit<T> {
  const labels = new Set(rows.map(({ label }) => label));
  if (labels.size < 2)
    throw new ThalamusError(
      'DATASET_INVALID',
      `${options.file}: every row has the same label; a classifier needs at least two labels.`,
    );
  const salt = `probe-v1 ${options.seed}`;
  const testBelow = options.holdOutTest ? HELD_OUT_PERCENT : 0;
  const use = (row: T): keyof TrainingSplit<T> => {
    const bucket = bucketOf(row.text, salt);
    if (bucket < testBelow) return 'test';
    return bucket < testBelow + HELD_OUT_PERCENT ? 'validation' : 'train';
  };
  const uses = rows.map(use);
  const learned = new Set(rows.filter((_, index) => uses[index] === 'train').map(({ label }) => label));
  // Whole texts move, so that a text with two labels is not in two parts either.
  const moved = new Set(rows.filter(({ label }) => !learned.has(label)).map(({ text }) => normalised(text)));
  const part = (wanted: keyof TrainingSplit<T>) =>
    rows.filter((row, index) => (moved.has(normalised(row.text)) ? 'train' : uses[index]) === wanted);
  const split = { train: part('train'), validation: part('validation'), test: part('test') };
  if (split.validation.length === 0 || (options.holdOutTest && split.test.length === 0))
    throw new ThalamusError(
      'DATASET_INVALID',
      `${options.file}: ${rows.length} rows of ${labels.size} labels are too few to hold some out for validation${options.holdOutTest ? ' and test' : ''}; give more rows of each label.`,
    );
  return split;
}

/** Text as it is compared: lower case, single spaces. */
export function normalised(text: string): string {
  return text.toLowerCase().replace(/\s+/g, ' ').trim();
}

/** 0 to 99, by the hash of a text. */
export function bucketOf(text: string, salt: string): number {
  return (
    createHash('sha256')
      .update(`${salt}\n${normalised(text)}`)
      .digest()
      .readUInt32BE(0) % 100
  );
}
