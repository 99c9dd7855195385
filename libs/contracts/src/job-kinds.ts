import { z } from 'zod';
import { ignoredColumns, name, reference, seed } from './job-fields.js';
import { repairParametersSchema } from './repair-parameters.js';
import type { Task } from './tasks.js';
import { hyperParameterShape, TRAINING_METHODS, withoutEffect } from './training-parameters.js';

/** Kinds of jobs that this version runs. The only place where their names are written. */
export const JOB_KINDS = {
  train: 'train',
  evaluate: 'evaluate',
  lossTable: 'loss-table',
  repair: 'repair',
} as const;

/** A kind of job. */
export type JobKind = (typeof JOB_KINDS)[keyof typeof JOB_KINDS];

/** Whether this version runs jobs of a kind. */
export function isJobKind(kind: string): kind is JobKind {
  return Object.values<string>(JOB_KINDS).includes(kind);
}

/** Roles of the artifacts that jobs read and write. */
export const JOB_ARTIFACTS = {
  /** Input: rows to learn from, or to be judged on. */
  data: 'data',
  /** Input: rows that a trained expert is judged on. */
  test: 'test',
  /** Input: manifest of the base that is trained on. */
  base: 'base',
  /** Input: manifest of the masked language model that training begins with. */
  start: 'start',
  /** Input: manifest of the version that a repair keeps to, and that of its base, if it has one. */
  from: 'from',
  fromBase: 'from-base',
  /** Input: manifest of the version that is repaired; it stands on `base`. */
  to: 'to',
  /** Input: manifest of the version to be judged. Of several, numbered from 1 on: `expertRole`. */
  expert: 'expert',
  /** Output: manifest of the bundle that was made. As a checkpoint: the bundle that waits to be registered. */
  bundle: 'bundle',
  /** Output: JSONL rows {id, label, prediction, score, slice}; of a masked language model {id, nats, pieces}. */
  predictions: 'predictions',
  /** Output: those of the version that a repair keeps to, on the same rows. */
  oldPredictions: 'old-predictions',
  /** Checkpoint: embeddings of the rows that are done. */
  features: 'features',
  /** Checkpoint: everything that a fine-tuning run is, between two steps. */
  training: 'training',
  /** Output: what each expert loses on the prompts of a part, as JSONL without a word of them. As a checkpoint: what there is of it. */
  losses: 'losses',
} as const;

/** Role of the manifest of one of several experts, which are numbered from 1 on: expert-1, expert-2, … */
export function expertRole(number: number): string {
  return `${JOB_ARTIFACTS.expert}-${number}`;
}

/** What experts can be trained for as jobs. */
const TRAINED_TASKS = ['text-classification', 'fill-mask'] as const satisfies readonly Task[];

/** Parameters of a `train` job: trains an expert on a base and registers it as a version. */
const trainObject = z.strictObject({
  /** Expert that gets a new version; made when it is not known. */
  expert: name,
  /** What it is trained for: labels of texts, or masked words. */
  task: z.enum(TRAINED_TASKS, `must be one of ${TRAINED_TASKS.join(', ')}`).default('text-classification'),
  /** Registered data set, name@version: CSV with the columns text and label; for fill-mask JSONL with text, optionally doc. */
  dataset: reference,
  /** Registered data set that the result is judged on; without it a part of `dataset` is held out. */
  testDataset: reference.optional(),
  /** Registered feature-extraction version, name@version; default: the stable one when there is one only. */
  base: reference.optional(),
  /** For fill-mask: registered masked language model over the base, name@version, whose branches and head training begins with. */
  startFrom: reference.optional(),
  /** Channel that is pointed at the new version. The first version of an expert is stable in any case. */
  channel: z.enum(['candidate', 'stable', 'none'], 'must be candidate, stable or none').default('candidate'),
  /** How it is trained. */
  method: z.enum(TRAINING_METHODS, `must be one of ${TRAINING_METHODS.join(', ')}`).default('probe'),
  /** Ships what the method gave even where the probe is as good on the validation rows. */
  keepMethod: z.boolean().default(false),
  ...hyperParameterShape,
  /** Chooses which rows are held out and the order of training: the same seed, rows and machine give the same weights. */
  seed,
  /** What the expert is good at; default: that of the expert, or a sentence about the data. */
  description: z.string().min(1).max(2_000).optional(),
  /** SPDX identifier of the result; default: that of the data set. */
  licence: z.string().min(1).max(100).optional(),
  /** Columns of the data that are left alone; any other unknown column is refused. */
  ignoredColumns,
});

/** Parameters of a `train` job. What would have no effect on the method is refused. */
export const trainParametersSchema = trainObject.superRefine((given, context) => {
  const named = Object.entries(given).flatMap(([key, value]) => (value === undefined ? [] : [key]));
  for (const path of withoutEffect(given.method, named))
    context.addIssue({
      code: 'custom',
      path: [path],
      message: `has no effect on the method ${given.method}`,
    });
  const refuse = (path: string, message: string) => {
    context.addIssue({ code: 'custom', path: [path], message });
  };
  if (given.task === 'fill-mask') {
    if (given.method !== 'lora') refuse('method', 'must be lora for fill-mask');
    if (given.keepMethod) refuse('keepMethod', 'has no effect on fill-mask');
    if (given.ignoredColumns.length > 0) refuse('ignoredColumns', 'has no effect on fill-mask');
    return;
  }
  if (given.startFrom !== undefined) refuse('startFrom', `has no effect on ${given.task}`);
  if (given.keepMethod && given.method === 'probe') refuse('keepMethod', 'has no effect on the method probe');
});

/** Parameters of an `evaluate` job: answers every row of a data set with one version and measures it. */
export const evaluateParametersSchema = z.strictObject({
  /** Expert. */
  expert: name,
  /** Version; default: the stable one. */
  version: z
    .string()
    .regex(/^(0|[1-9]\d{0,18})$/, 'must be a decimal string such as "1"')
    .optional(),
  /** Registered data set, name@version: CSV with the columns text and label, optionally id and slice; for fill-mask JSONL. */
  dataset: reference,
  /** Columns of the data that are left alone; any other unknown column is refused. */
  ignoredColumns,
});

/** Bounds of a loss table that is made by jobs. */
export const LOSS_TABLE_LIMITS = {
  /** Fewest experts: among fewer nothing is chosen. */
  minExperts: 2,
  maxExperts: 256,
  /** Most jobs that a table is spread over. */
  maxParts: 256,
  /** Most disjoint masks of a prompt, each of 15 % of its word pieces. */
  maxMasks: 6,
} as const;

const { minExperts, maxExperts, maxParts, maxMasks } = LOSS_TABLE_LIMITS;

/** Parameters of a `loss-table` job: measures what each of several versions loses on the prompts of one part. */
export const lossTableParametersSchema = z
  .strictObject({
    /** Registered versions, name@version, in the order of the columns of the table; each name once. */
    experts: z
      .array(reference)
      .min(minExperts, `must name ${minExperts} or more: among fewer nothing is chosen`)
      .max(maxExperts),
    /** Registered prompts, name@version: JSONL with text, and label for text-classification; optionally id, group and domain. */
    dataset: reference,
    /** Registered feature-extraction version, name@version; default: that of the experts, else the only stable one. */
    base: reference.optional(),
    /** Jobs that the table is spread over. */
    parts: z.number().int().min(1, 'must be 1 or more').max(maxParts),
    /** Which of them this is, from 1 on. Part p has the chunks of prompts whose number leaves p - 1 when divided by `parts`. */
    part: z.number().int().min(1, 'must be 1 or more'),
    /** For fill-mask: disjoint masks of each prompt; default 4. */
    masks: z.number().int().min(1).max(maxMasks).optional(),
    /** For fill-mask: draws the masks; default 0. */
    seed: z.number().int().min(0).max(2_147_483_647).optional(),
  })
  .superRefine(({ experts, part, parts }, context) => {
    const refuse = (path: string, message: string) => {
      context.addIssue({ code: 'custom', path: [path], message });
    };
    if (part > parts) refuse('part', `must be 1 to ${parts}, the number of parts`);
    const names = experts.map((expert) => expert.split('@')[0] ?? '');
    const twice = names.find((expert, at) => names.indexOf(expert) !== at);
    if (twice !== undefined) refuse('experts', `has ${twice} twice; a table has one column for a name`);
  });

/** Parameters of a `train` job. */
export type TrainParameters = z.infer<typeof trainParametersSchema>;
/** Parameters of an `evaluate` job. */
export type EvaluateParameters = z.infer<typeof evaluateParametersSchema>;
/** Parameters of a `loss-table` job. */
export type LossTableParameters = z.infer<typeof lossTableParametersSchema>;

/** Schema of the parameters of each kind. */
export const JOB_PARAMETERS = {
  train: trainParametersSchema,
  evaluate: evaluateParametersSchema,
  'loss-table': lossTableParametersSchema,
  repair: repairParametersSchema,
} as const satisfies Record<JobKind, z.ZodType>;
