import { ThalamusError } from '@thalamus/errors';
import { readDataset, type DatasetRow } from '@thalamus/training';
import { readFileSync } from 'node:fs';
import type { DataFile } from '../application/job-process.port.js';

/** Rows of a data file. @throws DATASET_INVALID that names data set, line and cure. */
export function readRows({ path, label }: DataFile, ignoredColumns: readonly string[]): DatasetRow[] {
  return readDataset(readFileSync(path), label, { ignoredColumns });
}

/** Refuses rows whose label is not of the list. @throws DATASET_INVALID that names data set, line and cure. */
export function requireLabels(
  rows: readonly DatasetRow[],
  known: ReadonlySet<string>,
  { label: file }: DataFile,
  whose: string,
): void {
  const odd = rows.find(({ label }) => !known.has(label));
  if (!odd) return;
  const shown = odd.label.length > 60 ? `${odd.label.slice(0, 60)}…` : odd.label;
  throw new ThalamusError(
    'DATASET_INVALID',
    `${file}: line ${odd.line} has the label "${shown}", which ${whose} does not have; correct the label or remove the row.`,
  );
}
