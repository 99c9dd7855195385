import { ThalamusError } from '@thalamus/errors';
import { CsvError, parse, type Info } from 'csv-parse/sync';

/** A labelled text. */
export interface LabelledText {
  readonly text: string;
  readonly label: string;
}

/** A row of a data set with its bookkeeping. */
export interface DatasetRow extends LabelledText {
  /** Column `id`, else the number of the row, from 1. Unique in the file. */
  readonly id: string;
  /** Column `slice`; empty when there is none. */
  readonly slice: string;
  /** Line of the file on which the row ends, from 1. */
  readonly line: number;
}

/** What is read besides text and label. */
export interface DatasetOptions {
  /** Columns that are left alone; 'all' for every one that is unknown. Others are refused. Default: none. */
  readonly ignoredColumns?: readonly string[] | 'all';
  /** Whether every row has a label; false: a column of labels may be there, and is not looked at. Default: true. */
  readonly isLabelled?: boolean;
}

/** Stands for a label that is not looked at. */
const NO_LABEL = '-';
const KNOWN_COLUMNS = ['text', 'label', 'id', 'slice'];
/** Longest label in characters; the same limit as in manifests. */
const MAX_LABEL_LENGTH = 256;

/** What to do about a fault that the parser found. Its own messages quote the data, so they are never shown. */
const CURES: Readonly<Record<string, string>> = {
  CSV_RECORD_INCONSISTENT_FIELDS_LENGTH:
    'has another number of fields than the header; quote fields that hold commas',
  CSV_QUOTE_NOT_CLOSED: 'opens a quote that nothing closes; close it, and double quotes inside a field',
  INVALID_OPENING_QUOTE: 'has a quote inside an unquoted field; quote the field and double the quotes in it',
  CSV_INVALID_CLOSING_QUOTE: 'has text after a closing quote; double quotes inside a field',
  CSV_NON_TRIMABLE_CHAR_AFTER_CLOSING_QUOTE: 'has text after a closing quote; double quotes inside a field',
};

/**
 * Reads a CSV file (RFC 4180, UTF-8 with or without a byte order mark, lines that end with LF or CRLF) with a header and
 * the columns `text` and `label`; other columns are left alone. `file` is shown in messages, which never quote the data.
 * @throws DATASET_INVALID that names the file, the line and the cure.
 */
export function readCsv(bytes: Uint8Array, file: string): LabelledText[] {
  return readDataset(bytes, file, { ignoredColumns: 'all' });
}

/** The same for jobs: with the columns `id` and `slice`, refusing columns that nobody would read. @throws DATASET_INVALID */
export function readDataset(bytes: Uint8Array, file: string, options: DatasetOptions = {}): DatasetRow[] {
  const content = Buffer.from(decodeUtf8(bytes, file));
  refuseNul(content, file);
  const [header, ...records] = parseRecords(content, file);
  if (!header)
    throw refused(file, 'the file is empty; give it a header line "text,label" and a row for each text');
  const column = columnsOf(header.record, file, options);
  if (records.length === 0)
    throw refused(file, 'the file has a header but no rows; add a row for each labelled text');
  const seen = new Map<string, number>();
  const lineEnds = lineCounter(content);
  return records.map(({ record, info }, index) => {
    const line = lineEnds(info.bytes);
    const field = (name: string) => record[column.get(name) ?? -1] ?? '';
    const row = { text: field('text'), label: field('label'), slice: field('slice'), line };
    const id = column.has('id') ? field('id') : String(index + 1);
    const fault = faultOf(options.isLabelled === false ? { ...row, label: NO_LABEL } : row, id);
    if (fault !== undefined) throw refused(file, `line ${line} ${fault}`);
    const earlier = seen.get(id);
    if (earlier !== undefined)
      throw refused(file, `lines ${earlier} and ${line} have the same id; give every row its own`);
    seen.set(id, line);
    return { ...row, id };
  });
}

/** A CSV file of labelled texts (RFC 4180, LF): what `readCsv` reads back the same. */
export function writeCsv(rows: readonly LabelledText[]): string {
  const quote = (field: string) => (/[",\n\r]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field);
  return `text,label\n${rows.map(({ text, label }) => `${quote(text)},${quote(label)}\n`).join('')}`;
}

function faultOf(row: LabelledText, id: string): string | undefined {
  if (row.text.trim() === '') return 'has an empty text; fill it in or remove the row';
  if (row.label.trim() === '') return 'has an empty label; fill it in or remove the row';
  if (row.label.length > MAX_LABEL_LENGTH)
    return `has a label of ${row.label.length} characters, at most ${MAX_LABEL_LENGTH} are taken; are the columns swapped?`;
  return id === '' ? 'has an empty id; fill it in or remove the column id' : undefined;
}

function columnsOf(
  header: readonly string[],
  file: string,
  { ignoredColumns: ignored = [], isLabelled = true }: DatasetOptions,
): ReadonlyMap<string, number> {
  const missing = (isLabelled ? ['text', 'label'] : ['text']).filter((name) => !header.includes(name));
  // What stands in line 1 is not quoted: without a header it would be data.
  if (missing.length > 0)
    throw refused(
      file,
      `line 1 names no column ${missing.join(' and no column ')}; the first line must be a header such as "${isLabelled ? 'text,label' : 'text'}"`,
    );
  const twice = header.find((name, index) => header.indexOf(name) !== index);
  if (twice !== undefined) throw refused(file, `line 1 names the column "${twice}" twice; rename one`);
  const unknown = header.filter((name) => !KNOWN_COLUMNS.includes(name));
  const refusedColumn = ignored === 'all' ? undefined : unknown.find((name) => !ignored.includes(name));
  if (refusedColumn !== undefined)
    throw refused(
      file,
      `line 1 names the unknown column "${refusedColumn}"; known are ${KNOWN_COLUMNS.join(', ')}: remove it, rename it, or say that it is to be ignored`,
    );
  return new Map(header.map((name, index) => [name, index]));
}

interface CsvRecord {
  readonly record: readonly string[];
  /** `bytes` is where the record ends; the parser's own count of lines takes CRLF inside quotes for two. */
  readonly info: Pick<Info, 'bytes'>;
}

function parseRecords(content: Buffer, file: string): CsvRecord[] {
  try {
    // csv-parse types its answer by the options only for objects.
    return parse(content, {
      info: true,
      skip_empty_lines: true,
      record_delimiter: ['\r\n', '\n'],
    }) as unknown as CsvRecord[];
  } catch (cause) {
    if (!(cause instanceof CsvError)) throw cause;
    const { bytes } = cause as { readonly bytes?: unknown };
    const end = typeof bytes === 'number' ? bytes : 0;
    // A record of the wrong length has been read to its end; any other fault lies behind the last good record.
    const isRead = cause.code === 'CSV_RECORD_INCONSISTENT_FIELDS_LENGTH';
    const where = `line ${lineCounter(content)(isRead ? end : startOfNext(content, end) + 1)}`;
    throw refused(file, `${where} ${CURES[cause.code] ?? 'is no CSV; quote fields as RFC 4180 says'}`);
  }
}

/** Where the next record begins: blank lines are skipped. */
function startOfNext(content: Buffer, end: number): number {
  let at = end;
  while (content[at] === 10 || content[at] === 13) at += 1;
  return at;
}

/** Line, from 1, that ends at or holds the byte before an offset. Ask with rising offsets: it counts on from the last one. */
function lineCounter(content: Buffer): (offset: number) => number {
  let from = 0;
  let feeds = 0;
  return (offset) => {
    for (let at = content.indexOf(10, from); at >= 0 && at < offset; at = content.indexOf(10, at + 1)) {
      feeds += 1;
      from = at + 1;
    }
    return content[offset - 1] === 10 ? feeds : feeds + 1;
  };
}

function decodeUtf8(bytes: Uint8Array, file: string): string {
  const decode = (part: Uint8Array) => new TextDecoder('utf-8', { fatal: true }).decode(part);
  try {
    return decode(bytes);
  } catch {
    // A line feed is never part of a longer UTF-8 sequence: the first line that fails holds the fault.
    let from = 0;
    for (let line = 1; ; line++) {
      const end = bytes.indexOf(10, from);
      try {
        decode(bytes.subarray(from, end < 0 ? bytes.length : end));
      } catch {
        throw refused(file, `line ${line} is not UTF-8; save the file as UTF-8`);
      }
      if (end < 0) throw refused(file, 'the file is not UTF-8; save it as UTF-8');
      from = end + 1;
    }
  }
}

/** UTF-16 without a byte order mark is UTF-8 too, with a NUL beside every letter. */
function refuseNul(content: Buffer, file: string): void {
  const at = content.indexOf(0);
  if (at < 0) return;
  const line = lineCounter(content)(at + 1);
  throw refused(file, `line ${line} holds a NUL character, as UTF-16 has it; save the file as UTF-8`);
}

function refused(file: string, reason: string): ThalamusError {
  return new ThalamusError('DATASET_INVALID', `${file}: ${reason}.`);
}
