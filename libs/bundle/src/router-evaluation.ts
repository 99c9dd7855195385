import { ThalamusError } from '@thalamus/errors';
import { z } from 'zod';
import { bundleName, count, isoDate, versionText } from './manifest-fields.js';

/** File of a router model's bundle that says how well it does; a bundle without it was never judged. */
export const ROUTER_EVALUATION = 'evaluation.json';
/** Largest `evaluation.json`, bytes. */
export const MAX_EVALUATION_BYTES = 512 * 1024;
/** Most prompts of the map. */
export const MAX_MAP_POINTS = 1000;
/** Most control labels of the map; what is beyond stands under one name. */
export const MAX_MAP_LABELS = 64;
/** Largest coordinate of the map; the smallest is 0. */
export const MAP_EXTENT = 1000;

const MAX_EXPERTS = 256;
const share = z.number().min(0).max(1);
const range = z.tuple([z.number(), z.number()]);
const text = z.string().min(1).max(200);

const figure = z.strictObject({
  value: z.number(),
  /** 95 % bootstrap interval, by document where there are any; null where none was drawn. */
  interval: range.nullable(),
});

const baseline = z.strictObject({
  /** `oracle`, `random`, `majority`, `bestSingle`, `labelThenBest`, `knn`, `tfidfKnn`; of a cascade `fastAlone`, `accurateAlone`. */
  name: text,
  /** Expert that it always takes; null for one that looks at the prompt, or at nothing. */
  expert: bundleName.nullable(),
  /** Mean loss. */
  loss: z.number(),
  /** Mean loss beyond the least. */
  regret: z.number(),
  /** 95 % interval of its loss less the router's on the same prompts; null where none was drawn. */
  behind: range.nullable(),
  /** Mean cost on the axis of `pareto`; null where it is not known. */
  cost: z.number().nullable(),
});

const choices = z.strictObject({
  expert: bundleName,
  /** Share of prompts that the router gives it. */
  chosen: share,
  /** Share of prompts on which no other does better. */
  best: share,
});

const bin = z.strictObject({
  n: count.min(1),
  /** Mean predicted and mean measured loss. */
  predicted: z.number(),
  measured: z.number(),
  /** Standard error of the difference; null for one row. */
  error: z.number().nonnegative().nullable(),
});

const series = z.strictObject({
  /**
   * `all`: every expert on every prompt. `chosen`: the expert that was chosen. `uncalibrated`: every expert, as the heads say it
   * before recalibration; absent where there is none.
   */
  of: z.enum(['all', 'chosen', 'uncalibrated']),
  /** Expected calibration error in the loss unit, without what chance adds. */
  calibrationError: z.number().nonnegative(),
  /** Bins of about equal mass, by predicted loss. */
  bins: z.array(bin).min(1).max(50),
});

const pareto = z.strictObject({
  /** `usdPerMillionTokens`: mean price. `strongShare`: share of prompts that go to the better of two models. */
  axis: z.enum(['usdPerMillionTokens', 'strongShare']),
  /** The router under growing weights of the cost, or shares. */
  points: z
    .array(
      z.strictObject({ weight: z.number().nonnegative().nullable(), cost: z.number(), loss: z.number() }),
    )
    .min(1)
    .max(64),
  /** Each expert alone. */
  experts: z
    .array(z.strictObject({ expert: bundleName, cost: z.number(), loss: z.number() }))
    .max(MAX_EXPERTS),
});

/** Shares of the nearest neighbours of a prompt that agree with it. */
const agreement = z.strictObject({
  /** Have its control label. */
  label: share,
  /** Share a best expert with it, over prompts where experts differ; null where there are none. */
  best: share.nullable(),
});

const space = z.strictObject({
  /**
   * `encoder`: the base's vectors, before any training. `features`: what the heads read; absent where that is the base's
   * vector. `losses`: the losses that the heads predict.
   */
  space: z.enum(['encoder', 'features', 'losses']),
  purity: agreement,
  /** Places of the prompts in a picture of the space, 0 to 1000. */
  x: z.array(count.max(MAP_EXTENT)).max(MAX_MAP_POINTS),
  y: z.array(count.max(MAP_EXTENT)).max(MAX_MAP_POINTS),
});

const map = z.strictObject({
  /** Neighbours that are asked for agreement. */
  neighbours: count.min(1).max(100),
  /** What any two prompts agree on by chance. */
  chance: agreement,
  labels: z.array(text).min(1).max(MAX_MAP_LABELS),
  /** Index into `labels` of each prompt: what the set says of it, which no router sees. */
  label: z.array(count).min(2).max(MAX_MAP_POINTS),
  /** Index into `experts` of the expert that the router chooses for each prompt. */
  chosen: z.array(count).max(MAX_MAP_POINTS),
  spaces: z.array(space).min(1).max(3),
});

const fields = z.strictObject({
  schemaVersion: z.literal(1),
  router: bundleName,
  version: versionText,
  lossUnit: z.enum(['nats', 'error']),
  /** What it was judged on. */
  dataset: text,
  split: z.enum(['train', 'validation', 'test', 'all']),
  n: count.min(1),
  /** True when the heads were fitted on some of these prompts, which flatters the figures. */
  fitted: z.boolean(),
  date: isoDate,
  experts: z.array(bundleName).min(1).max(MAX_EXPERTS),
  figures: z.strictObject({
    /** Mean loss of the choices. */
    loss: figure,
    /** Mean loss beyond the least. */
    regret: figure,
    /** Share of prompts whose choice was as good as the best. */
    top1: figure,
    /** Share of measured losses inside the intervals, and the share that they are made to hold. */
    coverage: share,
    targetCoverage: share,
    /** Mean squared difference of predicted and measured probability of error; null where losses are no errors. */
    brier: z.number().nonnegative().nullable(),
    /** Mean cost on the axis of `pareto` without any weight on it; null where it is not known. */
    cost: z.number().nullable(),
  }),
  baselines: z.array(baseline).max(32),
  choices: z.array(choices).max(MAX_EXPERTS),
  reliability: z.array(series).min(1).max(3),
  /** Null where the costs of the experts are not known, or are all alike. */
  pareto: pareto.nullable(),
  map,
  notes: z.array(z.string().max(500)).max(16),
});

type Fields = z.infer<typeof fields>;

function checkMap({ map: given, experts }: Fields, issue: (path: string, message: string) => void): void {
  const n = given.label.length;
  if (given.chosen.length !== n) issue('map.chosen', `has ${given.chosen.length} entries for ${n} prompts`);
  for (const { space: name, x, y } of given.spaces)
    if (x.length !== n || y.length !== n)
      issue('map.spaces', `${name} has not one place for each of ${n} prompts`);
  if (given.label.some((index) => index >= given.labels.length)) issue('map.label', 'points beyond labels');
  if (given.chosen.some((index) => index >= experts.length)) issue('map.chosen', 'points beyond experts');
}

/** Schema of `evaluation.json`: figures and places alone, no text of a prompt. Strict and bounded. */
export const routerEvaluationSchema = fields.superRefine((value, context) => {
  checkMap(value, (path, message) => context.addIssue({ code: 'custom', path: path.split('.'), message }));
});

/** Contents of `evaluation.json`. */
export type RouterEvaluationReport = z.infer<typeof routerEvaluationSchema>;

/** Reads a report. @throws BUNDLE_INVALID that names the first fault; `where` is shown in the message */
export function parseRouterEvaluation(
  bytes: Uint8Array,
  where: string = ROUTER_EVALUATION,
): RouterEvaluationReport {
  const refuse = (reason: string, cause?: unknown): never => {
    throw new ThalamusError(
      'BUNDLE_INVALID',
      `${where} ${reason}; judge the router again with thalamus router evaluate --save.`,
      { cause },
    );
  };
  if (bytes.byteLength > MAX_EVALUATION_BYTES) refuse(`is larger than ${MAX_EVALUATION_BYTES} bytes`);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    refuse('is not JSON in UTF-8', cause);
  }
  const result = routerEvaluationSchema.safeParse(value);
  if (result.success) return result.data;
  const [first] = result.error.issues;
  const unknown = first?.code === 'unrecognized_keys' ? ` (${first.keys.join(', ')})` : '';
  return refuse(`is wrong at ${first?.path.join('.') || 'its top'}: ${first?.message ?? ''}${unknown}`);
}

/** Bytes of a report. @throws BUNDLE_INVALID when it breaks its schema */
export function encodeRouterEvaluation(report: RouterEvaluationReport): Uint8Array {
  const bytes = new TextEncoder().encode(`${JSON.stringify(report)}\n`);
  parseRouterEvaluation(bytes);
  return bytes;
}
