import { createRandom } from '@thalamus/tensor';
import { createHash } from 'node:crypto';

/**
 * What near-duplicates of one prompt have in common: a digest of its words and numbers in lower case, without spaces and signs. Two
 * prompts with other numbers are two prompts.
 */
export function promptGroup(text: string): string {
  const words = text
    .normalize('NFKC')
    .toLowerCase()
    .match(/[\p{L}\p{M}\p{N}]+/gu) ?? [text.trim()];
  return createHash('sha256').update(words.join(' ')).digest('hex').slice(0, 16);
}

/**
 * Fold of each item, from 0: groups whole, drawn by chance, each to the fold with the fewest items. Folds differ by no more items than the
 * largest group has.
 */
export function groupFolds(groups: readonly string[], folds: number, seed: number): Uint8Array {
  const members = new Map<string, number[]>();
  groups.forEach((group, row) => {
    const own = members.get(group);
    if (own) own.push(row);
    else members.set(group, [row]);
  });
  const sizes = new Uint32Array(folds);
  const result = new Uint8Array(groups.length);
  for (const rows of createRandom(seed).shuffle([...members.values()])) {
    const fold = sizes.indexOf(Math.min(...sizes));
    sizes[fold]! += rows.length;
    for (const row of rows) result[row] = fold;
  }
  return result;
}
