import { ThalamusError } from '@thalamus/errors';

/** A vector for each row of a table: of word pieces by their id, or of hashed runs of word pieces. */
export interface StaticTable {
  /** Row-major [rows, width]; how much a row counts is in its length. */
  readonly table: Float32Array;
  readonly rows: number;
  readonly width: number;
}

/**
 * Sum of the vectors of the word pieces of a prompt, brought to length 1 in `into` [width] (Arora, Liang and Ma 2017: the
 * smooth inverse frequency of a piece is in the length of its row). Zero when no piece has a vector. TENSOR_INVALID for an id outside the table.
 */
export function embedTokens(ids: readonly number[], table: StaticTable, into: Float32Array): void {
  addRows(ids, table, into);
  toLengthOne(into);
}

/**
 * The same over the different runs of one and two word pieces, each hashed to a row: a run counts once however often it
 * stands there.
 */
export function embedGrams(ids: readonly number[], table: StaticTable, into: Float32Array): void {
  addRows([...gramRows(ids, table.rows)], table, into);
  toLengthOne(into);
}

/** Rows of the different runs of one and two word pieces, in the order of their first places; special pieces as any other. */
export function gramRows(ids: readonly number[], rows: number): Set<number> {
  const found = new Set<number>();
  let before = -1;
  for (const id of ids) {
    found.add(hash(id, -1) % rows);
    if (before >= 0) found.add(hash(before, id) % rows);
    before = id;
  }
  return found;
}

/** Two ids mixed to 32 bits (the finaliser of MurmurHash3). */
function hash(a: number, b: number): number {
  let mixed = Math.imul(a + 1, 0x9e3779b1) ^ Math.imul(b + 2, 0x85ebca77);
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

/** Sum of rows of a table; four at once, which takes half the time. */
function addRows(ids: readonly number[], { table, rows, width }: StaticTable, into: Float32Array): void {
  const sums = new Float64Array(width);
  const starts = ids.map((row) => {
    if (row >= 0 && row < rows) return row * width;
    throw new ThalamusError(
      'TENSOR_INVALID',
      `Word piece ${row} is outside a table of ${rows} vectors; load tokenizer and encoder of one router model.`,
    );
  });
  const whole = starts.length - (starts.length % 4);
  for (let row = 0; row < whole; row += 4) {
    const [a, b, c, d] = [starts[row]!, starts[row + 1]!, starts[row + 2]!, starts[row + 3]!];
    for (let at = 0; at < width; at++)
      sums[at]! += table[a + at]! + table[b + at]! + (table[c + at]! + table[d + at]!);
  }
  for (const from of starts.slice(whole)) for (let at = 0; at < width; at++) sums[at]! += table[from + at]!;
  into.set(sums);
}

/** Brings a vector to length 1; one of zeros stays. */
export function toLengthOne(vector: Float32Array): void {
  let sum = 0;
  for (const value of vector) sum += value * value;
  if (sum === 0) return;
  const factor = 1 / Math.sqrt(sum);
  for (let at = 0; at < vector.length; at++) vector[at]! *= factor;
}
