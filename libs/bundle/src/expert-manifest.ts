import { TASKS } from '@thalamus/contracts';
import { z } from 'zod';

/** Form of expert, data set and router model names. */
export const NAME_PATTERN = /^[a-z0-9][a-z0-9-]{0,62}$/;
/** Form of immutable versions. */
export const VERSION_PATTERN = /^[1-9][0-9]{0,8}$/;

export const nameSchema = z
  .string()
  .regex(
    NAME_PATTERN,
    'must be lower-case letters, digits and hyphens, at most 63, starting with a letter or digit',
  );
export const versionSchema = z.string().regex(VERSION_PATTERN, 'must be a decimal version such as "1"');
export const digestSchema = z.string().regex(/^sha256:[0-9a-f]{64}$/, 'must be sha256: and 64 hex digits');

/** A file of a bundle. Paths are relative, with forward slashes, inside the folder. */
export const fileSchema = z.strictObject({
  path: z
    .string()
    .regex(
      /^[A-Za-z0-9_][A-Za-z0-9_.-]*(\/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$/,
      'must be a relative path inside the folder',
    )
    .refine((path) => !path.split('/').includes('..'), 'must stay inside the folder'),
  sha256: z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 hex digits'),
  bytes: z.int().nonnegative(),
});

/** One measured figure. */
export const evaluationSchema = z.strictObject({
  dataset: z.string().min(1),
  split: z.enum(['train', 'validation', 'test']),
  metric: z.string().min(1),
  value: z.number(),
  n: z.int().positive(),
  date: z.iso.date(),
});

const parentSchema = z.strictObject({ name: nameSchema, version: versionSchema, digest: digestSchema });

/** Schema of `expert.json`, version 1. Unknown fields are errors. */
export const expertManifestSchema = z
  .strictObject({
    schemaVersion: z.literal(1, 'must be 1: this program reads no other manifest version'),
    name: nameSchema,
    version: versionSchema,
    kind: z.enum(['full', 'probe', 'lowrank', 'twin', 'upstream']),
    task: z.enum(TASKS),
    description: z.string().min(1).max(500),
    /** The bundle that a delta rests on: its name, and the digest of its expert.json. */
    base: z.strictObject({ name: nameSchema, digest: digestSchema }).optional(),
    /** Labels in the order of the head's rows. */
    labels: z.array(z.string().min(1).max(200)).min(2).optional(),
    /** Heads of a twin, in the order of its router's outputs. */
    heads: z
      .array(
        z.strictObject({
          expert: nameSchema,
          version: versionSchema,
          labels: z.array(z.string().min(1)).min(2),
        }),
      )
      .optional(),
    /** Longest input in tokens; longer ones are cut, and the answer says so. */
    maxTokens: z.int().positive().max(1_000_000),
    parameterCount: z.int().nonnegative(),
    flopsPerToken: z.number().nonnegative(),
    precision: z.enum(['float32', 'float16', 'int8-block32', 'int8-block16', 'mixed']),
    /** SPDX identifier. */
    licence: z.string().min(1),
    trainingData: z.array(
      z.strictObject({
        name: z.string().min(1),
        licence: z.string().min(1),
        origin: z.string().min(1),
        rows: z.int().nonnegative(),
      }),
    ),
    lineage: z
      .strictObject({
        recipe: z.string().optional(),
        parents: z.array(parentSchema),
        seed: z.int().optional(),
        codeVersion: z.string().optional(),
      })
      .optional(),
    evaluation: z.array(evaluationSchema),
    trust: z.strictObject({ signed: z.boolean(), scanned: z.boolean(), backdoorTested: z.boolean() }),
    releaseDate: z.iso.date(),
    files: z.array(fileSchema),
    signature: z
      .strictObject({ algorithm: z.literal('ed25519'), keyId: z.string(), value: z.base64() })
      .optional(),
  })
  .superRefine((manifest, context) => {
    const complain = (path: string, message: string) => {
      context.addIssue({ code: 'custom', path: [path], message });
    };
    if ((manifest.kind === 'probe' || manifest.kind === 'lowrank') && !manifest.base)
      complain('base', `is required for a ${manifest.kind} expert`);
    if (manifest.task === 'text-classification' && manifest.kind !== 'twin' && !manifest.labels)
      complain('labels', 'are required for text-classification');
    if (manifest.kind === 'twin' && !manifest.heads) complain('heads', 'are required for a twin');
    if (manifest.labels && new Set(manifest.labels).size !== manifest.labels.length)
      complain('labels', 'must not repeat');
    const paths = manifest.files.map((file) => file.path);
    if (new Set(paths).size !== paths.length) complain('files', 'must not list a path twice');
    if (paths.includes(EXPERT_MANIFEST)) complain('files', `must not list ${EXPERT_MANIFEST} itself`);
  });

/** The manifest of an expert bundle. */
export type ExpertManifest = z.infer<typeof expertManifestSchema>;

/** File name of the manifest. */
export const EXPERT_MANIFEST = 'expert.json';
/** File name of a whole graph. */
export const MODEL_FILE = 'model.onnx';
/** File name of a head. */
export const HEAD_FILE = 'head.safetensors';
/** File name of a tokenizer. */
export const TOKENIZER_FILE = 'tokenizer.json';
