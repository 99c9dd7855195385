import { z } from 'zod';
import { LOW_RANK_FILES } from './low-rank-format.js';
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

/** File name of an expert's manifest inside its bundle. */
export const EXPERT_MANIFEST = 'expert.json';

/** The closed set of expert kinds. */
export const EXPERT_KINDS = ['full', 'probe', 'lowrank', 'twin', 'upstream'] as const;

/** What an expert is made of. */
export type ExpertKind = (typeof EXPERT_KINDS)[number];

/** Whether the labels of a classifier exclude each other, under the names of Hugging Face's `config.json`. */
export const PROBLEM_TYPES = ['single_label_classification', 'multi_label_classification'] as const;

/** How the vectors of a text's tokens become one: their mean, or that of the first token. */
export const POOLINGS = ['mean', 'cls'] as const;

/** A way of pooling. */
export type Pooling = (typeof POOLINGS)[number];

/** How weights are stored. */
export const PRECISIONS = ['float32', 'float16', 'bfloat16', 'int8', 'int4'] as const;

const tensorInput = z.strictObject({
  name: z.string().min(1),
  dataType: z.string().min(1),
  shape: z.array(z.union([count, z.string().min(1)])),
});

const parent = z.strictObject({ name: bundleName, version: versionText, digest: digestText });

const lineage = z.strictObject({
  recipe: z.string().optional(),
  parents: z.array(parent),
  seed: z.number().int().optional(),
  codeVersion: z.string().optional(),
});

const trust = z.strictObject({ signed: z.boolean(), scanned: z.boolean(), backdoorTested: z.boolean() });

const upstream = z.strictObject({
  baseUrl: z.url({ protocol: /^https?$/, error: 'must be an http or https address' }).max(512),
  model: z.string().min(1).max(256),
  keyReference: z
    .string()
    .regex(/^(env:[A-Z][A-Z0-9_]*API_KEY|file:[\w-][\w.-]*)$/, 'must be env:NAME_API_KEY or file:name')
    .optional(),
  priceInputUsdPerMtok: z.number().nonnegative(),
  priceOutputUsdPerMtok: z.number().nonnegative(),
});

const fields = z.strictObject({
  schemaVersion: z.literal(MANIFEST_SCHEMA_VERSION),
  name: bundleName,
  version: versionText,
  kind: z.enum(EXPERT_KINDS),
  task: z.enum(TASKS),
  description: z.string().min(1).max(2000),
  base: z.strictObject({ name: bundleName, digest: digestText }).optional(),
  upstream: upstream.optional(),
  labels: z.array(z.string().min(1).max(256)).min(2).max(4096).optional(),
  problemType: z.enum(PROBLEM_TYPES).optional(),
  pooling: z.enum(POOLINGS).optional(),
  inputs: z.array(tensorInput).optional(),
  maxTokens: count.min(1),
  parameterCount: count,
  flopsPerToken: z.number().nonnegative(),
  precision: z.enum(PRECISIONS),
  licence: z.string().min(1),
  trainingData: z.array(trainingDataRow),
  lineage: lineage.optional(),
  evaluation: z.array(evaluationRow),
  trust,
  releaseDate: isoDate,
  files: fileList,
});

/** Files that each kind stands on. */
const NEEDED_FILES = {
  full: ['model.onnx'],
  twin: ['model.onnx'],
  probe: [LOW_RANK_FILES.head],
  lowrank: [LOW_RANK_FILES.adapter, LOW_RANK_FILES.config, LOW_RANK_FILES.head],
} as const satisfies Record<Exclude<ExpertKind, 'upstream'>, readonly string[]>;

/** Fields that mean something for one task. */
const TASK_OF_FIELD = { problemType: 'text-classification', pooling: 'feature-extraction' } as const;

/** Fields of a manifest that belong to another task than its own, with that task. */
function foreignFields(manifest: z.infer<typeof fields>): [string, string][] {
  return Object.entries(TASK_OF_FIELD).filter(
    ([field, task]) => manifest[field as keyof typeof TASK_OF_FIELD] !== undefined && manifest.task !== task,
  );
}

const lacksLabels = ({ task, kind, labels }: z.infer<typeof fields>): boolean =>
  task === 'text-classification' && kind !== 'upstream' && labels === undefined;

const hasRepeats = (values: readonly string[]): boolean => new Set(values).size !== values.length;

const isDelta = (kind: ExpertKind): boolean => kind === 'probe' || kind === 'lowrank';

/**
 * Schema of `expert.json`. Strict: an unknown field is an error that names its path. Beyond the shape it demands a base
 * of every delta expert (and of no other), labels of every classifier, and the file each kind stands on.
 */
export const expertManifestSchema = fields.superRefine((manifest, context) => {
  const issue = (path: string, message: string) =>
    context.addIssue({ code: 'custom', path: [path], message });
  const paths = new Set(manifest.files.map((file) => file.path));
  if (isDelta(manifest.kind) && manifest.base === undefined)
    issue('base', `is required for kind ${manifest.kind}`);
  if (!isDelta(manifest.kind) && manifest.base !== undefined) {
    issue('base', `must be absent for kind ${manifest.kind}, which stands alone`);
  }
  if ((manifest.kind === 'upstream') !== (manifest.upstream !== undefined)) {
    issue(
      'upstream',
      manifest.kind === 'upstream' ? 'is required for kind upstream' : 'belongs to kind upstream only',
    );
  }
  if (lacksLabels(manifest)) issue('labels', 'is required for text-classification');
  for (const [field, task] of foreignFields(manifest)) issue(field, `belongs to ${task} only`);
  if (hasRepeats(manifest.labels ?? [])) issue('labels', 'holds the same label twice');
  if (manifest.kind !== 'upstream')
    for (const path of NEEDED_FILES[manifest.kind])
      if (!paths.has(path)) issue('files', `must list ${path} for kind ${manifest.kind}`);
});

/** Contents of `expert.json`. */
export type ExpertManifest = z.infer<typeof expertManifestSchema>;
