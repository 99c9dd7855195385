import { ThalamusError } from '@thalamus/errors';
import { z } from 'zod';

/** How losses are compared across label sets, in nats. */
export interface LossScale {
  /** K: the largest label count in the library. */
  readonly labelCount: number;
  /** Every cross-entropy is clipped here: ln K. */
  readonly clip: number;
  /** Loss of an expert that cannot express the right label: ln K + 1. */
  readonly outsideLabels: number;
}

/** The scale for a library whose largest label set has `labelCount` labels. */
export function lossScale(labelCount: number): LossScale {
  return { labelCount, clip: Math.log(labelCount), outsideLabels: Math.log(labelCount) + 1 };
}

/** Loss in nats of one prompt: `logProbability` of its right label, or undefined when the expert has no such label. */
export function labelLoss(logProbability: number | undefined, scale: LossScale): number {
  return logProbability === undefined ? scale.outsideLabels : Math.min(scale.clip, -logProbability);
}

const metaSchema = z.strictObject({
  set: z.string().min(1),
  task: z.string().min(1),
  lossUnit: z.enum(['nats', 'error']),
  labelCount: z.number().int().positive(),
  experts: z.array(z.strictObject({ expert: z.string(), version: z.string(), digest: z.string() })).min(1),
  licence: z.string().min(1),
  origin: z.string().min(1),
  n: z.number().int().nonnegative(),
});

const rowSchema = z.strictObject({
  /** `<data set>:<first 16 hex digits of the SHA-256 of the text>`; the text itself is not in the table. */
  id: z.string().min(1),
  task: z.string().min(1),
  use: z.enum(['router', 'validation']),
  losses: z.array(z.number().nonnegative()),
});

/** Facts of a loss table. */
export type LossTableMeta = z.infer<typeof metaSchema>;
/** Measured losses of one prompt, in the order of `meta.experts`. */
export type LossRow = z.infer<typeof rowSchema>;

/** Prompts with the measured loss of every expert: what a router is fitted on. */
export interface LossTable {
  readonly meta: LossTableMeta;
  readonly rows: readonly LossRow[];
}

/** Text of a loss table: a line `{"meta":{...}}`, then one JSON object a line. Losses keep six decimals. */
export function encodeLossTable(table: LossTable): string {
  const rows = table.rows.map((row) =>
    JSON.stringify({ ...row, losses: row.losses.map((loss) => Number(loss.toFixed(6))) }),
  );
  return `${[JSON.stringify({ meta: table.meta }), ...rows].join('\n')}\n`;
}

/** Reads a loss table. DATASET_INVALID names file, line and fault. Lines end with `\n` only. */
export function parseLossTable(text: string, label: string): LossTable {
  const [first = '', ...lines] = text.split('\n');
  const { meta } = parseLine(z.strictObject({ meta: metaSchema }), first, label, 1);
  const rows = lines
    .map((line, index) => ({ line, number: index + 2 }))
    .filter(({ line }) => line !== '')
    .map(({ line, number }) => {
      const row = parseLine(rowSchema, line, label, number);
      if (row.losses.length !== meta.experts.length) {
        throw refused(label, number, `has ${row.losses.length} losses for ${meta.experts.length} experts`);
      }
      return row;
    });
  if (rows.length !== meta.n) throw refused(label, 1, `promises ${meta.n} rows but ${rows.length} follow`);
  return { meta, rows };
}

function parseLine<T>(schema: z.ZodType<T>, line: string, label: string, number: number): T {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw refused(label, number, 'is not JSON', cause);
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw refused(label, number, `is wrong at ${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`);
}

function refused(label: string, line: number, reason: string, cause?: unknown): ThalamusError {
  return new ThalamusError(
    'DATASET_INVALID',
    `${label}: line ${line} ${reason}. Make the loss table again.`,
    {
      cause,
    },
  );
}
