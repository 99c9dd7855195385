import { ThalamusError } from '@thalamus/errors';
import { readDataset, readTextLines } from '@thalamus/training';
import { readData } from '../training/read-rows.js';

/**
 * Texts without labels: the column `text` of CSV, whatever other columns say, or the `text` of each line of JSONL.
 * @throws DATASET_INVALID that names file, line and cure, CONFIG_INVALID for another kind of file
 */
export function readPrompts(paths: readonly string[]): string[] {
  return paths.flatMap((path) => {
    if (/\.csv$/i.test(path))
      return readDataset(readData(path), path, { ignoredColumns: 'all', isLabelled: false }).map(
        ({ text }) => text,
      );
    if (/\.jsonl$/i.test(path)) return readTextLines(readData(path), path).map(({ text }) => text);
    throw new ThalamusError(
      'CONFIG_INVALID',
      `--prompts ${path}: name a file.csv with a column text, or a file.jsonl with a text in every line.`,
    );
  });
}
