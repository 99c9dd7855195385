import type { DatasetRow } from '../csv-dataset.js';
import type { TrainingSplit } from '../split-rows.js';
import type { TextTokens } from '../training-base.port.js';

/** How many texts have more tokens than are read, said for people; nothing where none has. */
export function cutNote(cut: number, of: number, texts: string, maxTokens: number): string[] {
  return cut === 0 ? [] : [`${cut} of ${of} ${texts} are longer than ${maxTokens} tokens and were cut.`];
}

/** The same of texts that are still to be counted. */
export async function cutTextsNote(
  tokens: TextTokens,
  rows: readonly { readonly text: string }[],
  maxTokens: number,
): Promise<string[]> {
  const encoded = await tokens.encode(
    rows.map(({ text }) => text),
    maxTokens,
  );
  return cutNote(encoded.filter(({ truncated }) => truncated).length, rows.length, 'texts', maxTokens);
}

/** Lines that a note lists. */
const LISTED_LINES = 3;

/** Labels that training has one row of: they are learned, but nothing that was held out judges them. */
export function singleRowNote({ train, validation, test }: TrainingSplit<DatasetRow>): string[] {
  const rows = new Map<string, DatasetRow[]>();
  for (const row of train) rows.set(row.label, [...(rows.get(row.label) ?? []), row]);
  const judged = new Set([...validation, ...test].map(({ label }) => label));
  const single = [...rows].filter(([label, { length }]) => length === 1 && !judged.has(label));
  if (single.length === 0) return [];
  const lines = single.slice(0, LISTED_LINES).map(([, [row]]) => row?.line);
  const more = single.length > LISTED_LINES ? ' and others' : '';
  return [
    `${single.length} of ${rows.size} labels have a single row (line ${lines.join(', ')}${more}): it is learned, but nothing judges it; add rows of the label.`,
  ];
}
