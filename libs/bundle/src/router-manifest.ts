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

/** File name of a router model's manifest inside its bundle. */
export const ROUTER_MANIFEST = 'router.json';

const encoder = z.strictObject({
  name: bundleName,
  digest: digestText,
  maxTokens: count.min(1),
  dimension: count.min(1),
});

const candidate = z.strictObject({
  expert: bundleName,
  /** Version whose losses the head was fitted on; any other version of the expert is served as inherited. */
  version: versionText,
  /** Digest of that version's manifest. */
  digest: digestText,
  /** Loss table and number of its rows that the head was fitted on. */
  fittedOn: z.strictObject({ lossTable: digestText, rows: count.min(1) }),
});

const heads = z.strictObject({
  /** `linear`: loss = W e + b. `mlp`: loss = W2 relu(W1 e + b1) + b2. `gated`: loss = W [softmax(G e + c), e] + b. e is the L2-normalised embedding. */
  kind: z.enum(['linear', 'mlp', 'gated']),
  file: z.string().min(1),
  /** Width of the hidden layer of `mlp`; number of gates of `gated`. */
  hidden: count.optional(),
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

const interval = z.strictObject({
  expert: bundleName,
  /** Conformal quantile of the residual (measured - predicted) at (1 - coverage) / 2, in the loss unit. */
  lower: z.number(),
  /** The same at (1 + coverage) / 2. */
  upper: z.number(),
});

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
  lossScale: lossScale.optional(),
  costScales: z.record(z.string(), costScale),
  verbalLevels: z.record(z.string(), z.number().nonnegative()),
  calibration: z.strictObject({
    /** Share of measured losses that the intervals are made to hold, 0 to 1. */
    coverage: z.number().gt(0).lt(1),
    intervals: z.array(interval),
    abstention: abstention.optional(),
  }),
  /** Number of rows of tensor `regions.centroids`; the nearest one (cosine) is the region id of a prompt. */
  regionCount: count.optional(),
  licence: z.string().min(1),
  trainingData: z.array(trainingDataRow),
  evaluation: z.array(evaluationRow),
  releaseDate: isoDate,
  files: fileList,
});

/** Schema of `router.json`. Strict; candidates and intervals must name the same experts in the same order. */
export const routerManifestSchema = fields.superRefine((manifest, context) => {
  const issue = (path: string, message: string) =>
    context.addIssue({ code: 'custom', path: [path], message });
  const names = manifest.candidates.map((entry) => entry.expert);
  if (new Set(names).size !== names.length) issue('candidates', 'names the same expert twice');
  const calibrated = manifest.calibration.intervals.map((entry) => entry.expert);
  if (calibrated.join() !== names.join()) {
    issue('calibration', 'intervals must name the candidates in the same order');
  }
  if (!manifest.files.some((file) => file.path === manifest.heads.file)) {
    issue('files', `must list the head file ${manifest.heads.file}`);
  }
  if (manifest.heads.kind !== 'linear' && manifest.heads.hidden === undefined) {
    issue('heads', 'hidden is required for the kinds mlp and gated');
  }
});

/** Contents of `router.json`. */
export type RouterManifest = z.infer<typeof routerManifestSchema>;
