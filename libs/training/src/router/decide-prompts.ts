import type { RoutedPrompt } from '@thalamus/compatibility';
import { ThalamusError } from '@thalamus/errors';
import type { TrainingBase } from '../training-base.port.js';
import { FITTED_NOTE, partsOf, requireEncoder } from './evaluate-router.js';
import type { OpenedRouter } from './opened-router.js';
import type { PrepareOptions } from './prepare-prompts.js';
import { predictedRows, vectorsOf } from './predicted-rows.js';
import { choicesOf } from './routed-choices.js';
import type { RoutingRow, RoutingTable } from './routing-table.js';

/** Prompts that two router models are compared on: those that both set aside when they were fitted, or all. */
export type ComparedSplit = 'test' | 'all';

/** Two router models and a table over the models that they know. */
export interface RouterPair {
  readonly before: OpenedRouter;
  readonly after: OpenedRouter;
  /** The bundle of the encoder of both, opened. */
  readonly base: TrainingBase;
  readonly table: RoutingTable;
  readonly split: ComparedSplit;
}

/** What both decided. */
export interface DecidedPrompts {
  readonly prompts: readonly RoutedPrompt[];
  /** Prompts on which one of them had no expert with a result. */
  readonly leftOut: number;
  readonly notes: readonly string[];
}

/**
 * Both router models decide on every prompt of a table: the least predicted loss, without weights of cost, among the experts that they know
 * and that have a result. The table may have more models than one of them knows; the least loss is that of any that one knows.
 * @throws DATASET_INVALID for a table that lacks a model or has no prompts to compare on, for other tasks and units; BUNDLE_INVALID for
 * another encoder
 */
export async function decidePrompts(pair: RouterPair, options: PrepareOptions = {}): Promise<DecidedPrompts> {
  const { before, after, table } = pair;
  requireComparable(pair);
  const rows = rowsOf(pair);
  const [old, own] = [await choose(before, rows, pair, options), await choose(after, rows, pair, options)];
  const known = knownColumns(pair);
  const prompts = rows.flatMap((row, at): RoutedPrompt[] => {
    const [from, to] = [old[at]!, own[at]!];
    if (from < 0 || to < 0) return [];
    const best = leastOf(row, known);
    const nameOf = (column: number) => table.models[column]!.expert;
    return [
      {
        id: row.id,
        choiceBefore: nameOf(from),
        choiceAfter: nameOf(to),
        lossBefore: row.losses[from]!,
        lossAfter: row.losses[to]!,
        best: nameOf(best),
        leastLoss: row.losses[best]!,
        slices: [...(row.task === '' ? [] : [`domain=${row.task}`]), `expert=${nameOf(from)}`],
        ...(row.doc === undefined ? {} : { group: row.doc }),
      },
    ];
  });
  if (prompts.length === 0)
    throw new ThalamusError(
      'DATASET_INVALID',
      `${table.set} has no result of the experts of both router models on any of its ${rows.length} prompts.`,
    );
  return { prompts, leftOut: rows.length - prompts.length, notes: notesOn(pair) };
}

function requireComparable({ before, after, base, table }: RouterPair): void {
  const [old, own] = [before.manifest, after.manifest];
  const refuse = (what: string) => new ThalamusError('DATASET_INVALID', what);
  if (old.task !== own.task)
    throw refuse(
      `${nameOf(before)} decides for ${old.task} and ${nameOf(after)} for ${own.task}; compare two of one task.`,
    );
  for (const router of [before, after]) {
    requireEncoder(router, base);
    const { candidates, lossUnit } = router.manifest;
    const missing = candidates.filter(({ expert }) => !table.models.some((model) => model.expert === expert));
    if (missing.length > 0)
      throw refuse(
        `${table.set} has no results of ${missing.map(({ expert }) => expert).join(', ')}, which ${nameOf(router)} chooses from; measure them too.`,
      );
    if (table.unit !== lossUnit)
      throw refuse(
        `${table.set} has losses in "${table.unit}" where ${nameOf(router)} predicts "${lossUnit}"; measure them alike.`,
      );
  }
}

/** @throws DATASET_INVALID without any */
function rowsOf({ before, after, table, split }: RouterPair): readonly RoutingRow[] {
  if (split === 'all') return table.rows;
  const parts = [before, after].map((router) => partsOf(table.rows, router, split));
  const rows = table.rows.filter((_, at) => parts.every((own) => own?.[at] === split));
  if (rows.length > 0) return rows;
  throw new ThalamusError(
    'DATASET_INVALID',
    `No prompt of ${table.set} was set aside by both router models; name another table with --table, or choose --split all.`,
  );
}

/** Column of the table that each row goes to; -1 for none. */
async function choose(
  router: OpenedRouter,
  rows: readonly RoutingRow[],
  { base, table }: RouterPair,
  options: PrepareOptions,
): Promise<Int32Array> {
  const columns = columnsOf(router, table);
  const { first, second } = await vectorsOf(router, base, rows, options);
  const measured = new Float64Array(rows.length * columns.length);
  rows.forEach(({ losses }, row) => {
    columns.forEach((column, k) => (measured[row * columns.length + k] = losses[column]!));
  });
  const predicted = predictedRows(router, first, second).calibrated;
  return choicesOf({ predicted, measured, candidates: columns.length }).map((k) => (k < 0 ? k : columns[k]!));
}

function columnsOf({ manifest }: OpenedRouter, { models }: RoutingTable): number[] {
  return manifest.candidates.map(({ expert }) => models.findIndex((model) => model.expert === expert));
}

function knownColumns({ before, after, table }: RouterPair): number[] {
  return [...new Set([...columnsOf(before, table), ...columnsOf(after, table)])];
}

/** Column of the least loss among some; the first of equals. */
function leastOf({ losses }: RoutingRow, columns: readonly number[]): number {
  return columns
    .filter((column) => !Number.isNaN(losses[column]!))
    .reduce((best, column) => (losses[column]! < losses[best]! ? column : best));
}

function notesOn({ before, after, table, split }: RouterPair): string[] {
  const isFittedHere = ({ manifest }: OpenedRouter) =>
    manifest.candidates.some(({ fittedOn }) => fittedOn.lossTable === table.digest);
  const fitted = split === 'all' ? [before, after].filter(isFittedHere) : [];
  return [...table.notes, ...fitted.map((router) => `${nameOf(router)}: ${FITTED_NOTE}`)];
}

function nameOf({ manifest }: OpenedRouter): string {
  return `${manifest.name}@${manifest.version}`;
}
