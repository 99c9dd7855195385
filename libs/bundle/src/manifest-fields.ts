import { z } from 'zod';

/** The one manifest schema version that this release reads and writes. */
export const MANIFEST_SCHEMA_VERSION = 1;

/** Most files of one bundle. */
export const MAX_BUNDLE_FILES = 256;

/** Largest file of a bundle, bytes. */
export const MAX_FILE_BYTES = 16 * 2 ** 30;

/** Hugging Face pipeline names that an expert may serve. */
export const TASKS = ['fill-mask', 'text-classification', 'feature-extraction', 'text-generation'] as const;

/** A Hugging Face pipeline name. */
export type Task = (typeof TASKS)[number];

export const bundleName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'must be 1 to 63 lower-case letters, digits or hyphens');

export const versionText = z.string().regex(/^(0|[1-9][0-9]{0,18})$/, 'must be a decimal string such as "1"');

export const digestText = z.templateLiteral(
  ['sha256:', z.string().regex(/^[0-9a-f]{64}$/)],
  'must be sha256: and 64 lower-case hex digits',
);

export const isoDate = z.iso.date('must be a date such as 2025-01-31');

export const count = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER);

const PATH_SEGMENT = /^(?!\.{1,2}$)[A-Za-z0-9._-]{1,128}$/;

/** True for a relative path of at most four plain segments: no `..`, no root, no drive, no backslash. */
export function isPlainPath(path: string): boolean {
  const segments = path.split('/');
  return segments.length <= 4 && segments.every((segment) => PATH_SEGMENT.test(segment));
}

/** One file of a bundle. */
export const fileEntry = z.strictObject({
  path: z.string().refine(isPlainPath, 'must be a relative path of plain names, without .. or links'),
  sha256: z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hex digits'),
  bytes: count.max(MAX_FILE_BYTES),
});

/** One measured figure. */
export const evaluationRow = z.strictObject({
  dataset: z.string().min(1),
  split: z.enum(['train', 'validation', 'test', 'sample']),
  metric: z.string().min(1),
  value: z.number(),
  interval: z.tuple([z.number(), z.number()]).optional(),
  n: count.min(1),
  date: isoDate,
});

/** One data set that weights were fitted on. */
export const trainingDataRow = z.strictObject({
  name: z.string().min(1),
  licence: z.string().min(1),
  origin: z.string().min(1),
  rows: count,
});

/** A list of files without repeats (ignoring case, since some file systems do). */
export const fileList = z
  .array(fileEntry)
  .max(MAX_BUNDLE_FILES)
  .superRefine((files, context) => {
    const seen = new Set<string>();
    for (const [index, file] of files.entries()) {
      const key = file.path.toLowerCase();
      if (seen.has(key))
        context.addIssue({ code: 'custom', path: [index, 'path'], message: 'is listed twice' });
      if (key === 'expert.json' || key === 'router.json' || key === 'signature.json') {
        context.addIssue({
          code: 'custom',
          path: [index, 'path'],
          message: 'the manifest cannot list itself or its signatures',
        });
      }
      seen.add(key);
    }
  });

/** A file of a bundle: relative path, SHA-256 in hex, size in bytes. */
export type FileEntry = z.infer<typeof fileEntry>;
/** A measured figure of a manifest. */
export type EvaluationRow = z.infer<typeof evaluationRow>;
/** A data set that weights were fitted on, with licence (SPDX) and origin. */
export type TrainingDataRow = z.infer<typeof trainingDataRow>;
