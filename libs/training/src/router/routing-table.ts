import { z } from 'zod';
import { ThalamusError } from '@thalamus/errors';
import type { Digest } from '@thalamus/bundle';
import { parseLine, tableFault, tableLines, type LineLimits, type NumberedLine } from './table-lines.js';

/** A model of a table. */
export interface TableModel {
  /** As the table names it. */
  readonly name: string;
  /** As a name of an expert: lower case, without what stands before the last slash. */
  readonly expert: string;
  readonly version?: string;
  readonly digest?: string;
  /** USD per million tokens. */
  readonly price?: number;
  /** Parameters, as the table states them. */
  readonly parameters?: number;
  /** FLOPs of one token, as the table states them. */
  readonly flopsPerToken?: number;
}

/** One prompt of a table. */
export interface RoutingRow {
  readonly id: string;
  /** Label of the set that it is from: for controls alone, no router reads it. */
  readonly task: string;
  readonly prompt: string;
  readonly doc?: string;
  /** In the order of the models; NaN where there is no result. */
  readonly losses: Float64Array;
}

/** Prompts with what each model lost on them. */
export interface RoutingTable {
  /** SHA-256 of the unpacked table. */
  readonly digest: Digest;
  readonly set: string;
  readonly licence: string;
  readonly origin: string;
  /** `error`: 1 - quality, between 0 and 1; `nats`: cross-entropy. */
  readonly unit: 'error' | 'nats';
  readonly models: readonly TableModel[];
  readonly rows: readonly RoutingRow[];
  /** Rows left out: without a prompt, or with fewer than two results. */
  readonly skipped: number;
  /** What is odd but no fault. */
  readonly notes: readonly string[];
}

/** Fewest rows that a router is fitted or judged on. */
export const MIN_USABLE_ROWS = 50;
/** Most models of a table. */
export const MAX_TABLE_MODELS = 256;
/** Most rows of a table. */
export const MAX_TABLE_ROWS = 1_000_000;

const numbers = z.array(z.number().nonnegative().nullable());
const metaSchema = z.looseObject({
  set: z.string().min(1).max(200),
  licence: z.string().default('not stated'),
  origin: z.string().default('not stated'),
  score: z.string().optional(),
  score_range: z.tuple([z.number(), z.number()]).optional(),
  lossUnit: z.enum(['error', 'nats']).optional(),
  models: z.array(z.string().min(1).max(256)).min(2).max(MAX_TABLE_MODELS).optional(),
  experts: z
    .array(z.strictObject({ expert: z.string().min(1), version: z.string(), digest: z.string() }))
    .min(2)
    .max(MAX_TABLE_MODELS)
    .optional(),
  price_usd_per_mtok: numbers.optional(),
  flops_per_token: numbers.optional(),
  size: z.array(z.string().nullable()).optional(),
  n: z.number().int().nonnegative().optional(),
});
const results = z.union([z.array(z.number().nullable()), z.record(z.string(), z.number().nullable())], {
  error: 'must be finite numbers or null, in the order of the models or by their names',
});
const rowSchema = z.looseObject({
  id: z.union([z.string().min(1), z.number()]),
  task: z.string().default(''),
  prompt: z.string().optional(),
  doc: z.union([z.string(), z.number()]).optional(),
  scores: results.optional(),
  losses: results.optional(),
});

type Meta = z.infer<typeof metaSchema>;
type Results = z.infer<typeof results>;

/** What the lines are read by. */
interface Reading {
  readonly path: string;
  readonly models: readonly TableModel[];
  readonly meta: Meta;
  readonly range: readonly [number, number];
  /** Told by the first row. */
  column: 'scores' | 'losses' | undefined;
}

/**
 * Reads a routing table: a line `{"meta": {...}}`, then a row for each prompt with `scores` (quality; by default between 0 and
 * 1) or `losses`, in the order of the models or by their names; `null` stands for no result. Other fields are left alone.
 * @throws DATASET_INVALID that names file, line and fault
 */
export async function readRoutingTable(path: string, limits: LineLimits = {}): Promise<RoutingTable> {
  const lines = tableLines(path, limits);
  const first = await lines.next();
  if (first.done) throw tableFault(path, 1, 'is missing: the file is empty');
  const { meta } = parseLine(z.strictObject({ meta: metaSchema }), first.value, path);
  const reading: Reading = {
    path,
    meta,
    models: modelsOf(meta, path),
    range: rangeOf(meta, path),
    column: undefined,
  };
  const rows: RoutingRow[] = [];
  const seen = new Map<string, number>();
  let skipped = 0;
  let step = await lines.next();
  for (; !step.done; step = await lines.next()) {
    const line = step.value;
    if (line.text.trim() === '') continue;
    const row = rowOf(line, reading);
    const before = seen.get(row.id);
    if (before !== undefined)
      throw tableFault(path, line.number, `has the id "${short(row.id)}" of line ${before}`);
    seen.set(row.id, line.number);
    if (seen.size > MAX_TABLE_ROWS)
      throw tableFault(path, line.number, `is beyond the limit of ${MAX_TABLE_ROWS} rows`);
    if (row.prompt.trim() !== '' && row.losses.filter((loss) => !Number.isNaN(loss)).length >= 2)
      rows.push(row);
    else skipped += 1;
  }
  if (rows.length < MIN_USABLE_ROWS) throw tooFew(path, rows.length, skipped);
  return {
    digest: `sha256:${step.value}`,
    set: meta.set,
    licence: meta.licence,
    origin: meta.origin,
    unit: reading.column === 'scores' ? 'error' : (meta.lossUnit ?? 'error'),
    models: reading.models,
    rows,
    skipped,
    notes: notesOf(meta, seen.size, skipped),
  };
}

function notesOf(meta: Meta, found: number, skipped: number): string[] {
  const notes: string[] = [];
  if (meta.n !== undefined && meta.n !== found)
    notes.push(`The meta line promises ${meta.n} rows, ${found} follow; is the file cut?`);
  if (skipped > 0)
    notes.push(`${skipped} rows without a prompt or with fewer than two results are left out.`);
  return notes;
}

function tooFew(path: string, usable: number, skipped: number): ThalamusError {
  const left = skipped > 0 ? ` (${skipped} more have no prompt or fewer than two results)` : '';
  return new ThalamusError(
    'DATASET_INVALID',
    `${path} has ${usable} usable rows${left}; a router needs at least ${MIN_USABLE_ROWS}. Measure more prompts.`,
  );
}

function modelsOf(meta: Meta, path: string): TableModel[] {
  const named =
    meta.experts ?? meta.models?.map((name) => ({ expert: name, version: undefined, digest: undefined }));
  if (!named) throw tableFault(path, 1, 'names no models; give meta.models');
  for (const key of ['price_usd_per_mtok', 'flops_per_token', 'size'] as const)
    if (meta[key] && meta[key].length !== named.length)
      throw tableFault(path, 1, `has ${meta[key].length} values of ${key} for ${named.length} models`);
  const models = named.map(({ expert: name, version, digest }, at): TableModel => {
    const price = meta.price_usd_per_mtok?.[at];
    const parameters = parametersOf(meta.size?.[at]);
    const flopsPerToken = meta.flops_per_token?.[at];
    return {
      name,
      expert: expertName(name),
      ...(version === undefined ? {} : { version }),
      ...(digest === undefined ? {} : { digest }),
      ...(price === undefined || price === null ? {} : { price }),
      ...(parameters === undefined ? {} : { parameters }),
      ...(flopsPerToken === undefined || flopsPerToken === null ? {} : { flopsPerToken }),
    };
  });
  const names = new Map<string, string>();
  for (const { name, expert } of models) {
    const other = names.get(expert);
    if (other !== undefined || expert === '')
      throw tableFault(
        path,
        1,
        `names the models "${short(other ?? '')}" and "${short(name)}", which are both "${expert}" as experts`,
      );
    names.set(expert, name);
  }
  return models;
}

/** A name as experts have it: lower case, what stands before the last slash taken off, hyphens for all but letters and digits. */
export function expertName(name: string): string {
  const last = name.slice(name.lastIndexOf('/') + 1).toLowerCase();
  return last
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+/, '')
    .slice(0, 63)
    .replace(/-+$/, '');
}

const UNITS: Readonly<Record<string, number>> = { K: 1e3, M: 1e6, B: 1e9, T: 1e12 };

/** Parameters of a size such as `7B` or `8x7B`; undefined for what is none. */
function parametersOf(size: string | null | undefined): number | undefined {
  const match = /^(?:(\d+)x)?(\d+(?:\.\d+)?)([KMBT])$/i.exec(size?.trim() ?? '');
  if (!match) return undefined;
  return Number(match[1] ?? 1) * Number(match[2]) * UNITS[(match[3] ?? '').toUpperCase()]!;
}

/** Worst and best score: `score_range`, else what `score` says as `a..b`, else 0 and 1. */
function rangeOf(meta: Meta, path: string): readonly [number, number] {
  const said = /(-?\d+(?:\.\d+)?)\.\.(-?\d+(?:\.\d+)?)/.exec(meta.score ?? '');
  const range =
    meta.score_range ?? (said ? ([Number(said[1]), Number(said[2])] as const) : ([0, 1] as const));
  if (!(range[1] > range[0]))
    throw tableFault(path, 1, `has the scores ${range[0]} to ${range[1]}, which is no range`);
  return range;
}

function rowOf(line: NumberedLine, reading: Reading): RoutingRow {
  const row = parseLine(rowSchema, line, reading.path);
  const { scores, losses } = row;
  const refuse = (reason: string): never => {
    throw tableFault(reading.path, line.number, reason);
  };
  if (scores && losses) refuse('has scores and losses; one of them is enough');
  const given = scores ?? losses ?? refuse('has neither scores nor losses');
  const column = scores ? 'scores' : 'losses';
  reading.column ??= column;
  if (column !== reading.column)
    refuse(`has ${column} where the lines before have ${reading.column}: scales are mixed`);
  if (column === 'losses' && reading.meta.lossUnit === undefined)
    refuse('has losses, but meta.lossUnit does not say whether they are "nats" or "error"');
  if (row.prompt === undefined && reading.meta.experts)
    refuse('has no prompt; a router is fitted on texts, so measure the table with its prompts in it');
  const { doc } = row;
  return {
    id: String(row.id),
    task: row.task,
    prompt: row.prompt ?? '',
    ...(doc === undefined ? {} : { doc: String(doc) }),
    losses: Float64Array.from(listOf(given, reading, refuse), (value) =>
      lossOf(value, column, reading, refuse),
    ),
  };
}

function listOf(
  given: Results,
  { models }: Reading,
  refuse: (reason: string) => never,
): readonly (number | null)[] {
  if (Array.isArray(given)) {
    if (given.length !== models.length) refuse(`has ${given.length} results for ${models.length} models`);
    return given;
  }
  const unknown = Object.keys(given).find((name) => !models.some((model) => model.name === name));
  if (unknown !== undefined) refuse(`names the model "${short(unknown)}", which the meta line does not`);
  return models.map(({ name }) => given[name] ?? null);
}

function lossOf(
  value: number | null,
  column: 'scores' | 'losses',
  { range: [worst, best], meta }: Reading,
  refuse: (reason: string) => never,
): number {
  if (value === null) return NaN;
  if (!Number.isFinite(value)) refuse('has a result that is no finite number');
  if (column === 'scores') {
    if (value < worst || value > best)
      refuse(
        `has the score ${value} outside ${worst} to ${best}: scales are mixed, or meta.score_range is missing`,
      );
    return (best - value) / (best - worst);
  }
  if (value < 0) refuse(`has the loss ${value}; losses are 0 or more`);
  if (meta.lossUnit === 'error' && value > 1)
    refuse(`has the loss ${value} above 1 where meta.lossUnit is "error": scales are mixed`);
  return value;
}

const short = (text: string) => (text.length <= 60 ? text : `${text.slice(0, 60)}…`);
