import { parsePredictionRow, type PredictionRow } from './prediction-row.js';

/** Fields of a row that are texts, in the order of their places. */
export const TEXT_PLACES = ['id', 'label', 'prediction', 'slice', 'task', 'tenant', 'language'] as const;

/** Places of the fields that every row has. */
export const PLACE = { id: 0, label: 1, prediction: 2 } as const;

const ABSENT = -1;

/** A row as places in bytes: one object for all rows, filled anew for each. */
export class RowFields {
  bytes = new Uint8Array(0);
  /** Start and end of each text in the bytes; -1 where the row has none. */
  readonly from = new Int32Array(TEXT_PLACES.length);
  readonly to = new Int32Array(TEXT_PLACES.length);
  /** NaN for none. */
  score = NaN;
  /** -1 for none. */
  tokens = ABSENT;
  /** UTF-16 units of the text; -1 for none. */
  textLength = ABSENT;

  clear(bytes: Uint8Array): void {
    this.bytes = bytes as Uint8Array<ArrayBuffer>;
    this.from.fill(ABSENT);
    this.score = NaN;
    this.tokens = ABSENT;
    this.textLength = ABSENT;
  }

  textAt(place: number): string {
    return new TextDecoder().decode(this.bytes.subarray(this.from[place], this.to[place]));
  }
}

const encoder = new TextEncoder();

/** Takes a row as it was parsed. */
export function fillFromRow(fields: RowFields, row: PredictionRow): void {
  const texts = TEXT_PLACES.map((name) => row[name]);
  fields.clear(encoder.encode(texts.join('')));
  let at = 0;
  texts.forEach((text, place) => {
    if (text === undefined) return;
    fields.from[place] = at;
    at += encoder.encode(text).length;
    fields.to[place] = at;
  });
  fields.score = row.score ?? NaN;
  fields.tokens = row.tokens ?? ABSENT;
  fields.textLength = row.text?.length ?? ABSENT;
}

/** Takes any line, by way of a JSON parser. @throws DATASET_INVALID that names file and line */
export function fillFromLine(fields: RowFields, line: string, file: string, number: number): void {
  fillFromRow(fields, parsePredictionRow(line, file, number));
}
