import { tensor, type TensorOf } from '@thalamus/tensor';

/** Words of some rows, in the order of their ids: gradients of the others are zero, and need no place. */
export interface FoundWords {
  /** Token ids, rising. */
  readonly ids: readonly number[];
  /** Place among them by token id. */
  readonly placeOf: ReadonlyMap<number, number>;
}

/** The words of rows of token ids. */
export function foundWords(rows: readonly (readonly number[])[]): FoundWords {
  const ids = [...new Set(rows.flat())].sort((a, b) => a - b);
  return { ids, placeOf: new Map(ids.map((id, place) => [id, place])) };
}

/** The rows [words, width] of a table [vocabulary, width] that are of these words. */
export function narrowed({ shape, data }: TensorOf<'float32'>, { ids }: FoundWords): TensorOf<'float32'> {
  const width = shape[1] ?? 0;
  const rows = new Float32Array(ids.length * width);
  ids.forEach((id, place) => rows.set(data.subarray(id * width, (id + 1) * width), place * width));
  return tensor('float32', [ids.length, width], rows);
}

/** The table [vocabulary, width] that has these rows [words, width], and zeros for all other words. */
export function widened(
  { shape, data }: TensorOf<'float32'>,
  vocabulary: number,
  { ids }: FoundWords,
): TensorOf<'float32'> {
  const width = shape[1] ?? 0;
  const table = new Float32Array(vocabulary * width);
  ids.forEach((id, place) => table.set(data.subarray(place * width, (place + 1) * width), id * width));
  return tensor('float32', [vocabulary, width], table);
}
