import { readTextLines, type NamedLines } from '@thalamus/training';
import { readData } from './read-rows.js';

/** Whether a file holds texts without labels, a JSON object a line; other files are CSV. */
export function isTextFile(path: string): boolean {
  return path.endsWith('.jsonl');
}

/** Lines of a JSONL file. @throws DATASET_INVALID that names file, line and cure */
export function readLinesOf(path: string): NamedLines {
  return { lines: readTextLines(readData(path), path), file: path };
}
