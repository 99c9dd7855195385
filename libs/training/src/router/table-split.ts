import { createHash } from 'node:crypto';
import { ThalamusError } from '@thalamus/errors';
import type { RoutingRow } from './routing-table.js';

/** Parts of a table. */
export const SPLIT_PARTS = ['train', 'validation', 'test'] as const;
/** One of the parts. */
export type SplitPart = (typeof SPLIT_PARTS)[number];

/** How a table is split. */
export interface TableSplitRule {
  /** What stays together. */
  readonly by: 'doc' | 'prompt';
  readonly seed: number;
  /** Share of rows, about. */
  readonly validation: number;
  readonly test: number;
}

/** The rule for a table: by document where every row has one. */
export function splitRule(rows: readonly RoutingRow[], options: Omit<TableSplitRule, 'by'>): TableSplitRule {
  return { by: rows.every(({ doc }) => doc !== undefined) ? 'doc' : 'prompt', ...options };
}

/**
 * Part of each row: a digest of the seed and of what must stay together, so that equal prompts never stand on two sides and
 * the same rule gives the same parts in any order of the rows, in this table and in another.
 * @throws DATASET_INVALID for a row without a document where the rule wants one
 */
export function splitParts(rows: readonly RoutingRow[], rule: TableSplitRule): SplitPart[] {
  return rows.map((row) => {
    const share = hashShare(`split:${rule.seed}`, keyOf(row, rule.by));
    if (share < rule.test) return 'test';
    return share < rule.test + rule.validation ? 'validation' : 'train';
  });
}

/** Fold of each row, from 0, under the same bonds. */
export function foldsOf(rows: readonly RoutingRow[], rule: TableSplitRule, folds: number): Uint8Array {
  return Uint8Array.from(rows, (row) =>
    Math.floor(folds * hashShare(`fold:${rule.seed}`, keyOf(row, rule.by))),
  );
}

function keyOf(row: RoutingRow, by: TableSplitRule['by']): string {
  if (by === 'prompt') return row.prompt.normalize('NFC').trim();
  if (row.doc !== undefined) return row.doc;
  throw new ThalamusError(
    'DATASET_INVALID',
    `The row "${row.id.slice(0, 60)}" has no doc, by which the router model splits; give every row its document.`,
  );
}

/** Uniform in [0, 1): the first 48 bits of a digest. */
function hashShare(salt: string, key: string): number {
  const bytes = createHash('sha256').update(`${salt}\n`).update(key).digest();
  return bytes.readUIntBE(0, 6) / 2 ** 48;
}
