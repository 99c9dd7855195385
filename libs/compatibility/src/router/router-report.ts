import { ThalamusError } from '@thalamus/errors';
import { z } from 'zod';
import { MEASURES, type Measure } from '../gate/measures.js';

/** Evidence that rules about router models name. */
export const ROUTER_EVIDENCE = 'router';
/** What a report says it is. */
export const ROUTER_REPORT = 'router-comparison';

const digest = z.string().regex(/^sha256:[0-9a-f]{64}$/, 'must be sha256:<64 hex digits>');
const ends = z.strictObject({ low: z.number(), high: z.number() });
const model = z.strictObject({ name: z.string().min(1), version: z.string().min(1), digest });

const figures = {
  n: z.number().int().positive(),
  changedChoices: z.number(),
  lossBefore: z.number(),
  lossAfter: z.number(),
  lossDifference: z.number(),
  worse: z.number(),
  better: z.number(),
  nfr: z.number(),
  pfr: z.number(),
  rightBefore: z.number(),
  rightAfter: z.number(),
  mcnemarP: z.number(),
  intervals: z.record(z.string(), ends),
};

const rule = z.strictObject({
  rule: z.string(),
  measure: z.enum(Object.keys(MEASURES) as [Measure, ...Measure[]]),
  data: z.string(),
  slice: z.string(),
  threshold: z.number(),
  status: z.enum(['passed', 'failed', 'inconclusive']),
  value: z.number().optional(),
  low: z.number().optional(),
  high: z.number().optional(),
  n: z.number().optional(),
  sentence: z.string(),
});

const schema = z.strictObject({
  object: z.literal(ROUTER_REPORT),
  version: z.literal(1),
  verdict: z.enum(['compatible', 'incompatible', 'inconclusive']),
  task: z.string().min(1),
  /** Digests are those of the bundles' manifests, as the registry knows them. */
  before: model,
  after: model,
  table: z.strictObject({
    set: z.string(),
    /** Of the unpacked table. */
    digest,
    /** `test`: prompts that both router models set aside when they were fitted; `all`. */
    split: z.enum(['test', 'all']),
    /** Prompts without a result of any expert that one of them knows. */
    leftOut: z.number().int().nonnegative(),
  }),
  lossUnit: z.enum(['error', 'nats']),
  tolerance: z.number(),
  /** Digest of the gate as it was read, and what it said. */
  gateDigest: digest,
  gate: z.strictObject({
    gate: z.string(),
    status: z.enum(['passed', 'failed', 'inconclusive']),
    rules: z.array(rule).min(1),
    pending: z.array(z.string()),
  }),
  approvals: z.array(z.string()),
  ...figures,
  regretBefore: z.number(),
  regretAfter: z.number(),
  slices: z.array(z.strictObject({ slice: z.string(), ...figures })),
  flipped: z.array(
    z.strictObject({
      id: z.string(),
      negative: z.boolean(),
      best: z.string(),
      choiceBefore: z.string(),
      choiceAfter: z.string(),
    }),
  ),
  notes: z.array(z.string()),
});

/** A comparison of two router models as it is written, kept and shown as evidence. Losses in their unit, shares 0 to 1. */
export type RouterReport = z.infer<typeof schema>;

/** Figures of all prompts, or of a slice, in a report. */
export type ReportedFigures = Omit<RouterReport['slices'][number], 'slice'>;

/** Reads a report. @throws DATASET_INVALID that names the file and, for every fault, the field */
export function parseRouterReport(text: string, file: string): RouterReport {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new ThalamusError(
      'DATASET_INVALID',
      `${file} is not JSON; it must be what "thalamus router compare --json" printed.`,
      { cause },
    );
  }
  const result = schema.safeParse(value);
  if (!result.success) {
    const faults = result.error.issues.map(({ path, message }) => `${path.join('.') || 'it'}: ${message}`);
    throw new ThalamusError(
      'DATASET_INVALID',
      `${file} is no comparison of router models ("thalamus router compare --json" prints one): ${faults.join('; ')}.`,
    );
  }
  return requireAgreement(result.data, file);
}

/** A verdict is that of its gate, and the gate's that of its rules: a report that was changed by hand is told. */
function requireAgreement(report: RouterReport, file: string): RouterReport {
  const { verdict, gate } = report;
  const worst = (['failed', 'inconclusive'] as const).find((status) =>
    gate.rules.some((own) => own.status === status),
  );
  const status = worst ?? 'passed';
  const wanted = { passed: 'compatible', failed: 'incompatible', inconclusive: 'inconclusive' }[status];
  if (!gate.rules.some(({ data }) => data === ROUTER_EVIDENCE))
    throw new ThalamusError(
      'DATASET_INVALID',
      `${file} was judged by no rule about router models; compare again.`,
    );
  if (gate.status === status && verdict === wanted) return report;
  throw new ThalamusError(
    'DATASET_INVALID',
    `${file} says "${verdict}" with the gate "${gate.status}", but its rules come to "${status}"; compare again.`,
  );
}
