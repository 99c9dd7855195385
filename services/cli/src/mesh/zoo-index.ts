import { ThalamusError } from '@thalamus/errors';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';

const digest = z.string().regex(/^sha256:[0-9a-f]{64}$/);
const entry = z.object({ folder: z.string(), digest });
const sample = z.object({ train: z.string(), test: z.string(), licence: z.string(), origin: z.string() });
const indexSchema = z.object({
  bases: z.array(entry),
  experts: z.array(
    entry.extend({
      /** `router`: rows that no expert was trained on, which routers are fitted on. */
      sample: sample.extend({ router: z.string() }),
    }),
  ),
  /** Models of one domain have samples of it, some for routers as well: rows that no expert was trained on. */
  languageModels: z.array(entry.extend({ sample: sample.partial({ train: true }).optional() })).default([]),
  routers: z.array(entry),
  fleet: z.object({
    recordings: z.object({ file: z.string(), digest }),
    sample: z.string(),
    experts: z.array(entry),
    routers: z.array(entry),
  }),
});

/** What a zoo folder holds, with the digest of each bundle; `fleet`: remote models with recorded answers. */
export type ZooIndex = z.infer<typeof indexSchema>;

/** Folder of the zoo that the repository ships. */
export function zooFolder(): string {
  return fileURLToPath(new URL('../../../../zoo', import.meta.url));
}

/** The index of a zoo folder. @throws BUNDLE_INVALID */
export function readZoo(folder: string): ZooIndex {
  const path = join(folder, 'zoo.json');
  try {
    return indexSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch (cause) {
    throw new ThalamusError(
      'BUNDLE_INVALID',
      `${path} is missing or damaged; restore the folder zoo from the repository.`,
      { cause },
    );
  }
}

/** The error for a file of the zoo that is not what the index names. */
export function notTheZoo(name: string, found: string): ThalamusError {
  return new ThalamusError(
    'BUNDLE_INVALID',
    `zoo/${name} has the digest ${found}, which is not the one that zoo.json names; restore the folder zoo from the repository.`,
  );
}

/** File of the recorded answers of a zoo folder. @throws BUNDLE_INVALID */
export function recordingsFile(folder: string): string {
  return join(folder, readZoo(folder).fleet.recordings.file);
}
