import { ThalamusError } from '@thalamus/errors';
import type { DatasetRow } from '../csv-dataset.js';
import { normalised, splitForTraining, type TrainingSplit } from '../split-rows.js';

/** A file's rows with the name that messages use. */
export interface NamedRows {
  readonly rows: readonly DatasetRow[];
  readonly file: string;
}

/**
 * Rows by use. A text of the test set is never learned from, nor tuned on; without a test set a part of the rows is held out.
 * @throws DATASET_INVALID for one label, too few rows, every text in the test set, or a test label that training has not
 */
export function splitTraining(
  data: NamedRows,
  test: NamedRows | undefined,
  seed: number,
): TrainingSplit<DatasetRow> {
  if (!test) return splitForTraining(data.rows, { seed, holdOutTest: true, file: data.file });
  const judged = new Set(test.rows.map(({ text }) => normalised(text)));
  const free = data.rows.filter(({ text }) => !judged.has(normalised(text)));
  if (free.length === 0)
    throw new ThalamusError(
      'DATASET_INVALID',
      `${data.file}: every text is also in ${test.file}, which nothing may be trained on; give other rows.`,
    );
  const split = splitForTraining(free, { seed, holdOutTest: false, file: data.file });
  requireLabels(test, new Set(split.train.map(({ label }) => label)), 'the training data');
  return { ...split, test: test.rows };
}

/**
 * Refuses rows whose label is not of the list. The label is not quoted: where columns were swapped it would be a prompt.
 * @throws DATASET_INVALID that names file, line and cure
 */
export function requireLabels({ rows, file }: NamedRows, known: ReadonlySet<string>, whose: string): void {
  const odd = rows.find(({ label }) => !known.has(label));
  if (!odd) return;
  throw new ThalamusError(
    'DATASET_INVALID',
    `${file}: the label on line ${odd.line} is none of the ${known.size} that ${whose} has; correct it or remove the row.`,
  );
}
