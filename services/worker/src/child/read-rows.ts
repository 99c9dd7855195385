import { readDataset, readTextLines, type NamedLines, type NamedRows } from '@thalamus/training';
import { readFileSync } from 'node:fs';
import type { DataFile } from '../application/job-process.port.js';

/** Rows of a data file. @throws DATASET_INVALID that names data set, line and cure. */
export function readRows({ path, label }: DataFile, ignoredColumns: readonly string[]): NamedRows {
  return { rows: readDataset(readFileSync(path), label, { ignoredColumns }), file: label };
}

/** Texts of a JSONL file. @throws DATASET_INVALID that names data set, line and cure. */
export function readLines({ path, label }: DataFile): NamedLines {
  return { lines: readTextLines(readFileSync(path), label), file: label };
}
