import { ThalamusError } from '@thalamus/errors';
import { parse } from 'csv-parse/sync';

/** A labelled text. */
export interface LabelledText {
  readonly text: string;
  readonly label: string;
}

/**
 * Reads a CSV file (RFC 4180) with a header and the columns `text` and `label`; other columns are left alone.
 * @throws DATASET_INVALID that names the file, the line and the cure: not UTF-8, broken quotes, missing column, empty.
 */
export function readCsv(bytes: Uint8Array, label: string): LabelledText[] {
  const refuse = (reason: string): never => {
    throw new ThalamusError('DATASET_INVALID', `${label}: ${reason}`);
  };
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return refuse('the file is not UTF-8; save it as UTF-8.');
  }
  let records: string[][];
  try {
    records = parse(text, { skip_empty_lines: true, relax_column_count: false, bom: true });
  } catch (cause) {
    return refuse(
      `${cause instanceof Error ? cause.message : String(cause)}; mend the quotes or columns there.`,
    );
  }
  const [header, ...rows] = records;
  if (!header) return refuse('the file is empty; it needs a header line "text,label" and rows.');
  const textColumn = header.indexOf('text');
  const labelColumn = header.indexOf('label');
  if (textColumn < 0 || labelColumn < 0)
    return refuse(`the header is "${header.join(',')}", but the columns text and label are needed.`);
  if (rows.length === 0) return refuse('the file has a header but no rows.');
  return rows.map((row, index) => {
    const value = { text: row[textColumn] ?? '', label: row[labelColumn] ?? '' };
    if (value.text.trim() === '' || value.label.trim() === '')
      refuse(`row ${index + 1} has an empty text or label.`);
    return value;
  });
}
