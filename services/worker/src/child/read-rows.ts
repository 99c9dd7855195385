import { ThalamusError } from '@thalamus/errors';
import { readDataset, type DatasetRow } from '@thalamus/training';
import { readFileSync } from 'node:fs';
import type { DataFile } from '../application/job-process.port.js';

/** Rows of a data file. @throws DATASET_INVALID that names data set, line and cure. */
export function readRows({ path, label }: DataFile, ignoredColumns: readonly string[]): DatasetRow[] {
  return readDataset(readFileSync(path), label, { ignoredColumns });
}

/**
 * Refuses rows whose label is not of the list. The label is not quoted: where columns were swapped it would be a prompt.
 * @throws DATASET_INVALID that names data set, line and cure.
 */
export function requireLabels(
  rows: readonly DatasetRow[],
  known: ReadonlySet<string>,
  { label: file }: DataFile,
  whose: string,
): void {
  const odd = rows.find(({ label }) => !known.has(label));
  if (!odd) return;
  throw new ThalamusError(
    'DATASET_INVALID',
    `${file}: the label on line ${odd.line} is none of the ${known.size} that ${whose} has; correct it or remove the row.`,
  );
}
