import { z } from 'zod';
import {
  TASKS,
  bundleName,
  count,
  digestText,
  evaluationRow,
  fileList,
  isoDate,
  MANIFEST_SCHEMA_VERSION,
  trainingDataRow,
  versionText,
} from './manifest-fields.js';
import { checkHeads, checkInputs, encoderInput, heads, interval, type Issue } from './router-parts.js';
import { checkSecondStage, secondStage } from './router-second-stage.js';

/** Most rows that bounds on the risk are certified by. */
export const MOST_RISK_ROWS = 4096;

/** File name of a router model's manifest inside its bundle. */
export const ROUTER_MANIFEST = 'router.json';

const encoder = z.strictObject({
  name: bundleName,
  digest: digestText,
  maxTokens: count.min(1),
  /** Width of the vector that the heads read. */
  dimension: count.min(1),
  /** Parts of the vector, in order; absent: the vector of the encoder's graph alone. Without `sentence` no graph is run. */
  inputs: z.array(encoderInput).min(1).optional(),
  /** File with the tables of the parts other than `sentence`. */
  file: z.string().min(1).optional(),
  /** Tokenizer of those parts; absent: that of the encoder's bundle. */
  tokenizer: z.string().min(1).optional(),
});

const candidate = z.strictObject({
  expert: bundleName,
  /**
   * Version whose losses the head was fitted on; any other version of the expert is served as inherited. "0" for a model
   * of a table that no version of the registry is named for.
   */
  version: versionText,
  /** Digest of that version's manifest; absent for a model of a table that is no registered expert. */
  digest: digestText.optional(),
  /** Name of the model in the table, where it cannot be the name of an expert. */
  model: z.string().min(1).max(256).optional(),
  /** Raw properties by cost, in the units of `costScales`, as the table states them. */
  properties: z.record(z.string(), z.number()).optional(),
  /** Loss table and number of its rows that the head was fitted on. */
  fittedOn: z.strictObject({ lossTable: digestText, rows: count.min(1) }),
});

/** How the rows of the table were split: the same rule and seed give the same parts of it again. */
const split = z.strictObject({
  /** What stays together: rows of one document, or rows of one prompt. */
  by: z.enum(['doc', 'prompt']),
  seed: count,
  validation: z.number().min(0).lt(1),
  test: z.number().min(0).lt(1),
  /** Parts that the heads were fitted on. */
  fitted: z.array(z.enum(['train', 'validation'])).min(1),
});

/** What the fitted rows say without looking at a prompt: for comparison. */
const baselines = z.strictObject({
  /** Candidate with the least mean loss. */
  bestSingle: bundleName,
  /** Candidate that was most often the best. */
  majority: bundleName,
});

/** Rows that bounds on the risk are certified by: losses that heads predicted which had not seen the row, and the measured ones. */
const risk = z.strictObject({
  /** File with the tensors `risk.predicted` and `risk.measured` [rows, candidates], NaN in the latter for no result. */
  file: z.string().min(1),
  rows: count.min(1).max(MOST_RISK_ROWS),
  /** Differences of losses are cut off at this size, in the loss unit. */
  bound: z.number().positive(),
});

const costScale = z.strictObject({
  /** What is measured, such as `flopsPerToken`, `days`, `milliseconds`, `usdPerMillionTokens`. */
  unit: z.string().min(1),
  transform: z.enum(['linear', 'log10']),
  /** Raw value that costs 0. */
  min: z.number(),
  /** Raw value that costs 1. */
  max: z.number(),
});

/** Knots of a monotone map; 64 pairs of 100 candidates fit a manifest. */
const MOST_KNOTS = 64;
const knots = z.array(z.number()).min(1).max(MOST_KNOTS);

/** How the losses that the head of a candidate gives are brought to measured ones. */
const recalibration = z.discriminatedUnion('kind', [
  z.strictObject({
    expert: bundleName,
    /** Piecewise linear through the knots, constant outside of them. */
    kind: z.literal('isotonic'),
    /** Strictly rising. */
    inputs: knots,
    /** Never falling; as many. */
    values: knots,
  }),
  z.strictObject({
    expert: bundleName,
    /** logit(q) = a ln(p) - b ln(1 - p) + c; of losses that are errors. */
    kind: z.literal('beta'),
    a: z.number().nonnegative(),
    b: z.number().nonnegative(),
    c: z.number(),
  }),
]);

const abstention = z.strictObject({
  /**
   * What is compared with the threshold: `min-predicted-loss`, or `prototype-distance` (1 - the largest cosine between
   * the embedding and a row of tensor `abstention.prototypes`).
   */
  score: z.enum(['min-predicted-loss', 'prototype-distance']),
  /** A prompt whose score is larger is out of scope. */
  threshold: z.number(),
  /** Share of in-scope validation prompts that the threshold turns away. */
  falseAbstention: z.number().min(0).max(1),
});

const lossScale = z.strictObject({
  /** K: the largest label count in the library. */
  labelCount: count.min(1),
  /** Every cross-entropy is clipped here: ln K nats. */
  clip: z.number().positive(),
  /** Loss of an expert that cannot express the right label: ln K + 1 nats. */
  outsideLabels: z.number().positive(),
});

const fields = z.strictObject({
  schemaVersion: z.literal(MANIFEST_SCHEMA_VERSION),
  name: bundleName,
  version: versionText,
  task: z.enum(TASKS),
  lossUnit: z.enum(['nats', 'error']),
  description: z.string().min(1).max(2000),
  encoder,
  candidates: z.array(candidate).min(1),
  heads,
  /** Of a cascade: heads that read more of the prompt, for those prompts that need it; absent: one stage. */
  secondStage: secondStage.optional(),
  lossScale: lossScale.optional(),
  costScales: z.record(z.string(), costScale),
  verbalLevels: z.record(z.string(), z.number().nonnegative()),
  calibration: z.strictObject({
    /** Share of measured losses that the intervals are made to hold, 0 to 1. */
    coverage: z.number().gt(0).lt(1),
    intervals: z.array(interval),
    /** One for each candidate, in the same order; absent: losses stand as the heads give them. */
    recalibration: z.array(recalibration).optional(),
    abstention: abstention.optional(),
  }),
  split: split.optional(),
  baselines: baselines.optional(),
  /** Absent: bounds on the risk are refused. */
  risk: risk.optional(),
  /** File that says which learners were tried and why one was taken. */
  choice: z.string().min(1).optional(),
  /**
   * Number of rows of tensor `regions.centroids`; the nearest one (cosine) is the region id of a prompt. With a second stage twice as many:
   * prompts that it decides have the regions after those of the first.
   */
  regionCount: count.optional(),
  licence: z.string().min(1),
  trainingData: z.array(trainingDataRow),
  evaluation: z.array(evaluationRow),
  releaseDate: isoDate,
  files: fileList,
});

type Fields = z.infer<typeof fields>;

function checkEncoder({ encoder: given, files }: Fields, issue: Issue): void {
  const listed = (path: string | undefined) => path === undefined || files.some((file) => file.path === path);
  for (const path of [given.file, given.tokenizer])
    if (!listed(path)) issue('files', `must list the encoder's file ${path ?? ''}`);
  if (!given.inputs) return;
  checkInputs(given.inputs, given.dimension, issue, 'encoder');
  const kinds = given.inputs.map(({ kind }) => kind);
  if (kinds.some((kind) => kind !== 'sentence') && given.file === undefined)
    issue('encoder', 'file is required for inputs other than sentence');
  if (!kinds.includes('sentence') && given.tokenizer === undefined)
    issue('encoder', 'tokenizer is required without the input sentence');
}

function checkNames(manifest: Fields, issue: Issue): void {
  const names = manifest.candidates.map((entry) => entry.expert);
  if (new Set(names).size !== names.length) issue('candidates', 'names the same expert twice');
  const calibrated = manifest.calibration.intervals.map((entry) => entry.expert);
  if (calibrated.join() !== names.join())
    issue('calibration', 'intervals must name the candidates in the same order');
  const recalibrated = manifest.calibration.recalibration?.map((entry) => entry.expert);
  if (recalibrated && recalibrated.join() !== names.join())
    issue('calibration', 'recalibration must name the candidates in the same order');
  for (const [key, name] of Object.entries(manifest.baselines ?? {}))
    if (!names.includes(name)) issue('baselines', `${key} must be a candidate`);
  for (const [what, path] of [
    ['head', manifest.heads.file],
    ['second head', manifest.secondStage?.heads.file],
    ['choice', manifest.choice],
    ['risk', manifest.risk?.file],
  ] as const)
    if (path !== undefined && !manifest.files.some((file) => file.path === path))
      issue('files', `must list the ${what} file ${path}`);
}

function checkCalibration({ calibration, regionCount, lossUnit }: Fields, issue: Issue): void {
  for (const { expert, scales } of calibration.intervals)
    if (scales && scales.length !== regionCount)
      issue(
        'calibration',
        `the interval of ${expert} has ${scales.length} scales for ${regionCount ?? 0} regions`,
      );
  for (const map of calibration.recalibration ?? []) {
    if (map.kind === 'beta' && lossUnit !== 'error')
      issue('calibration', `the recalibration of ${map.expert} is beta, which is for losses in "error"`);
    if (map.kind !== 'isotonic') continue;
    const { inputs, values } = map;
    const rises = inputs.every((input, at) => input > (inputs[at - 1] ?? -Infinity));
    const keeps = values.every((value, at) => value >= (values[at - 1] ?? -Infinity));
    if (inputs.length !== values.length || !rises || !keeps)
      issue(
        'calibration',
        `the recalibration of ${map.expert} needs as many values as inputs, inputs that rise and values that never fall`,
      );
  }
}

/** Schema of `router.json`. Strict; candidates and intervals must name the same experts in the same order. */
export const routerManifestSchema = fields.superRefine((manifest, context) => {
  const issue: Issue = (path, message) => context.addIssue({ code: 'custom', path: [path], message });
  checkNames(manifest, issue);
  checkHeads(manifest.heads, issue);
  checkEncoder(manifest, issue);
  checkCalibration(manifest, issue);
  checkSecondStage(manifest, issue);
});

/** Contents of `router.json`. */
export type RouterManifest = z.infer<typeof routerManifestSchema>;
