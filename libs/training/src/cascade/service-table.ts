import { z } from 'zod';
import { parseLine, tableFault, tableLines } from '../router/table-lines.js';
import type { AnsweredRow } from './fit-cascade.js';

/** What several services answered to the same inputs, which are not there. */
export interface ServiceTable {
  readonly set: string;
  readonly licence: string;
  readonly services: readonly string[];
  /** USD for 10,000 answers. */
  readonly prices: readonly number[];
  /** Number of labels. */
  readonly labels: number;
  readonly rows: readonly AnsweredRow[];
}

const MOST_SERVICES = 64;
const MOST_LABELS = 1000;

const metaSchema = z.looseObject({
  set: z.string().min(1).max(200),
  licence: z.string().default('not stated'),
  models: z.array(z.string().min(1)).min(1).max(MOST_SERVICES),
  cost_usd_per_10k: z.array(z.number().nonnegative()),
});
const label = z
  .number()
  .int()
  .min(0)
  .max(MOST_LABELS - 1);
const rowSchema = z.looseObject({
  i: z.union([z.number(), z.string()]),
  y: label,
  p: z.array(label),
  c: z.array(z.number()),
});

/**
 * Reads a table of services: a line `{"meta": {...}}` with `models` and `cost_usd_per_10k`, then a row for each input with the true
 * label `y`, and of each service the label `p` and its confidence `c`.
 * @throws DATASET_INVALID that names file, line and fault
 */
export async function readServiceTable(path: string): Promise<ServiceTable> {
  const lines = tableLines(path);
  const first = await lines.next();
  if (first.done) throw tableFault(path, 1, 'is missing: the file is empty');
  const { meta } = parseLine(z.strictObject({ meta: metaSchema }), first.value, path);
  const { length } = meta.models;
  if (meta.cost_usd_per_10k.length !== length)
    throw tableFault(path, 1, `has ${meta.cost_usd_per_10k.length} prices for ${length} services`);
  const rows: AnsweredRow[] = [];
  const seen = new Set<string>();
  for await (const line of lines) {
    const { i, y, p, c } = parseLine(rowSchema, line, path);
    if (p.length !== length || c.length !== length)
      throw tableFault(
        path,
        line.number,
        `has ${p.length} labels and ${c.length} confidences of ${length} services`,
      );
    if (seen.has(String(i)))
      throw tableFault(path, line.number, `has the id ${i}, which stands above already`);
    seen.add(String(i));
    rows.push({ truth: y, answers: p.map((own, k) => ({ label: own, confidence: c[k]! })) });
  }
  if (rows.length === 0) throw tableFault(path, 2, 'is missing: there are no rows');
  const labels =
    1 + rows.reduce((most, row) => Math.max(most, row.truth, ...row.answers.map((own) => own.label)), 0);
  return {
    set: meta.set,
    licence: meta.licence,
    services: meta.models,
    prices: meta.cost_usd_per_10k,
    labels,
    rows,
  };
}
