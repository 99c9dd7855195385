import { ThalamusError } from '@thalamus/errors';
import type { PartialTable, TableCell } from './partial-table.js';
import { promptChunks, type TableExpert, type TableRun } from './table-run.js';

/** One of the parts that a table is measured in. */
export interface TablePart {
  /** From 1 on. */
  readonly part: number;
  readonly parts: number;
}

/** Whether a chunk of prompts is of a part: every chunk is of one part, and parts differ by one chunk at most. */
export function ownsChunk({ part, parts }: TablePart, chunk: number): boolean {
  return chunk % parts === part - 1;
}

/**
 * The cells of a table that was measured in parts, these in their order.
 * @throws ARTIFACT_CORRUPT when one lacks a cell: the table would call it a missing result
 */
export function joinParts(
  { experts, prompts }: TableRun<TableExpert>,
  tables: readonly Pick<PartialTable, 'get'>[],
): (expert: number, chunk: number) => TableCell | undefined {
  const parts = tables.length;
  const cellOf = (expert: number, chunk: number) => tables[chunk % parts]?.get(expert, chunk);
  promptChunks(prompts).forEach(({ length }, chunk) => {
    experts.forEach(({ manifest }, expert) => {
      if (cellOf(expert, chunk)?.rows.length === length) return;
      throw new ThalamusError(
        'ARTIFACT_CORRUPT',
        `Part ${(chunk % parts) + 1} of ${parts} lacks what ${manifest.name} loses on some prompts; measure the table anew.`,
      );
    });
  });
  return cellOf;
}
