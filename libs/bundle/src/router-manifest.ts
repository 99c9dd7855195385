import { TASKS } from '@thalamus/contracts';
import { z } from 'zod';
import { digestSchema, evaluationSchema, fileSchema, nameSchema, versionSchema } from './expert-manifest.js';

const scale = z.strictObject({
  /** Value that costs 0. */
  zero: z.number(),
  /** Value that costs 1. */
  one: z.number(),
  /** Whether the value or its decimal logarithm is scaled. */
  form: z.enum(['linear', 'log10']),
  /** Unit of the values, in words. */
  unit: z.string().min(1),
});

/** Schema of `router.json`, version 1. Unknown fields are errors. */
export const routerManifestSchema = z.strictObject({
  schemaVersion: z.literal(1, 'must be 1: this program reads no other manifest version'),
  name: nameSchema,
  version: versionSchema,
  description: z.string().min(1),
  task: z.enum(TASKS),
  lossUnit: z.enum(['nats', 'error']),
  /** The feature-extraction bundle that encodes prompts. */
  encoder: z.strictObject({ name: nameSchema, digest: digestSchema }),
  /** Experts with a head, in the order of the head's rows. */
  candidates: z.array(
    z.strictObject({
      expert: nameSchema,
      fittedVersion: versionSchema,
      /** 90 % conformal quantiles of measured minus predicted loss: lower and upper. */
      interval: z.tuple([z.number(), z.number()]),
    }),
  ),
  /** Absolute scales of the costs by flag name. */
  costScales: z.record(z.string(), scale),
  /** Lambda in nats by verbal level. */
  verbalLevels: z.strictObject({
    low: z.number().nonnegative(),
    medium: z.number().nonnegative(),
    high: z.number().nonnegative(),
  }),
  /** Prompts whose out-of-scope score is above the threshold are abstained from. */
  abstention: z.strictObject({ threshold: z.number(), falseAbstentionRate: z.number().min(0).max(1) }),
  maxTokens: z.int().positive(),
  evaluation: z.array(evaluationSchema),
  trainingData: z.array(
    z.strictObject({ name: z.string(), licence: z.string(), origin: z.string(), rows: z.int() }),
  ),
  licence: z.string(),
  seed: z.int(),
  files: z.array(fileSchema),
});

/** The manifest of a router model. */
export type RouterManifest = z.infer<typeof routerManifestSchema>;

/** File name of the manifest. */
export const ROUTER_MANIFEST = 'router.json';
/** File name of the heads. */
export const ROUTER_HEADS_FILE = 'heads.safetensors';
