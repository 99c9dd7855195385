import type { WholeColumn } from './columns.js';
import type { ByteTable } from './byte-table.js';
import { quoted } from './prediction-row.js';

/** An item whose right label is another in the new file. */
export interface LabelFault {
  readonly row: number;
  /** Code of its label in the new file. */
  readonly label: number;
}

interface LabelledItems {
  readonly files: { readonly before: string; readonly after: string };
  readonly ids: ByteTable;
  readonly labels: WholeColumn;
  readonly names: ByteTable;
}

const SHOWN = 5;

/** What is wrong with right labels that differ: other names for the same labels, or single items that were labelled anew. */
export function describeLabelFaults(faults: readonly LabelFault[], items: LabelledItems): string {
  const { files, ids, labels, names } = items;
  const renamed = renaming(faults, items);
  if (renamed) {
    const pairs = [...renamed].map(
      ([old, own]) => `${quoted(names.nameOf(old))} → ${quoted(names.nameOf(own))}`,
    );
    const shown = pairs.slice(0, SHOWN).join(', ');
    return `The right labels have other names in ${files.after} than in ${files.before}: ${shown}${pairs.length > SHOWN ? ` and ${pairs.length - SHOWN} more` : ''}. Give them one set of names in both files, for labels and predictions alike.`;
  }
  const { row, label } = faults[0]!;
  return `${faults.length} of ${ids.size} items have another right label in ${files.after}, such as ${quoted(ids.nameOf(row))}: ${quoted(names.nameOf(labels.at(row)))} in the old file and ${quoted(names.nameOf(label))} in the new one; label them alike in both.`;
}

/** New names by old ones when every item of a label got the same new name and no two labels the same; undefined otherwise. */
function renaming(
  faults: readonly LabelFault[],
  { ids, labels }: LabelledItems,
): Map<number, number> | undefined {
  const renamed = new Map<number, number>();
  const faulty = new Map<number, number>();
  for (const { row, label } of faults) {
    const old = labels.at(row);
    if (renamed.has(old) && renamed.get(old) !== label) return undefined;
    renamed.set(old, label);
    faulty.set(old, (faulty.get(old) ?? 0) + 1);
  }
  if (new Set(renamed.values()).size !== renamed.size) return undefined;
  const kept = new Set<number>();
  const total = new Map<number, number>();
  for (let row = 0; row < ids.size; row++) {
    const label = labels.at(row);
    if (renamed.has(label)) total.set(label, (total.get(label) ?? 0) + 1);
    else kept.add(label);
  }
  // A label of which single items kept the name was not renamed; with one item of each it could be either, and a new name says so.
  const isWhole = [...renamed.keys()].every((old) => faulty.get(old) === total.get(old));
  const isFresh = [...renamed.values()].every((own) => !kept.has(own));
  return isWhole && isFresh ? renamed : undefined;
}
