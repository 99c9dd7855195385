import { ThalamusError } from '@thalamus/errors';
import { readDataset, type NamedRows } from '@thalamus/training';
import { readFileSync } from 'node:fs';

/** Rows of a CSV file. @throws DATASET_INVALID that names file, line and cure */
export function readRowsOf(path: string, ignoredColumns: readonly string[]): NamedRows {
  return { rows: readDataset(readData(path), path, { ignoredColumns }), file: path };
}

/** Bytes of a data file. @throws DATASET_INVALID that names the file */
export function readData(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'unknown fault';
    throw new ThalamusError('DATASET_INVALID', `${path} cannot be read (${code}); name a file of rows.`, {
      cause,
    });
  }
}
