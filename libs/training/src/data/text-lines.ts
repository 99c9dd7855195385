import { ThalamusError } from '@thalamus/errors';

/** A text with the document that it is part of. */
export interface TextLine {
  readonly text: string;
  /** Empty when the line names none. */
  readonly doc: string;
  /** Line of the file, from 1. */
  readonly line: number;
}

/**
 * Reads JSONL: an object with `text` and optionally `doc` a line, UTF-8. Lines end with `\n` and nothing else: texts may
 * hold other line separators. Blank lines are skipped; messages never quote the data.
 * @throws DATASET_INVALID that names the file, the line and the cure
 */
export function readTextLines(bytes: Uint8Array, file: string): TextLine[] {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  const rows: TextLine[] = [];
  let line = 0;
  for (let from = 0; from < bytes.length;) {
    const end = bytes.indexOf(10, from);
    const part = bytes.subarray(from, end < 0 ? bytes.length : end);
    from = end < 0 ? bytes.length : end + 1;
    line += 1;
    let content: string;
    try {
      content = decoder.decode(part);
    } catch {
      throw refused(file, `line ${line} is not UTF-8; save the file as UTF-8`);
    }
    if (content.trim() !== '') rows.push(parseLine(content, file, line));
  }
  if (rows.length === 0)
    throw refused(file, 'the file is empty; give it a line such as {"text": "..."} for each text');
  return rows;
}

function parseLine(content: string, file: string, line: number): TextLine {
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch {
    throw refused(file, `line ${line} is not JSON; each line must be an object such as {"text": "..."}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw refused(file, `line ${line} is not an object; each line must be an object such as {"text": "..."}`);
  const { text, doc = '' } = value as { readonly text?: unknown; readonly doc?: unknown };
  if (typeof text !== 'string') throw refused(file, `line ${line} has no "text" that is a string; add it`);
  if (text.trim() === '')
    throw refused(file, `line ${line} has an empty text; fill it in or remove the line`);
  if (typeof doc !== 'string' && typeof doc !== 'number')
    throw refused(file, `line ${line} has a "doc" that is neither a string nor a number; correct it`);
  return { text, doc: String(doc), line };
}

function refused(file: string, reason: string): ThalamusError {
  return new ThalamusError('DATASET_INVALID', `${file}: ${reason}.`);
}
