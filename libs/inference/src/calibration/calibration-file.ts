import { ThalamusError } from '@thalamus/errors';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import type { CalibrationFile, KeptCalibration } from './calibrator.port.js';
import { MOST_CHILDREN, MOST_THREADS } from './session-choice.js';

/** In the data folder of the host. */
export const CALIBRATION_FILE = 'calibration.json';

const milliseconds = z.number().positive();
const choice = z.strictObject({
  threads: z.int().positive().max(MOST_THREADS),
  weights: z.enum(['stored', 'expanded']),
  arena: z.boolean(),
});
const schema = z.strictObject({
  machine: z.string(),
  measuredAt: z.iso.datetime(),
  choice,
  children: z.int().positive().max(MOST_CHILDREN),
  gain: z.number().positive(),
  trials: z.array(z.strictObject({ choice, aloneMs: milliseconds, batchMs: milliseconds })).min(1),
});

function unwritable(path: string, cause: unknown): ThalamusError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'not writable';
  return new ThalamusError(
    'ARTIFACT_STORE_FULL',
    `What was measured could not be kept in ${path} (${code}): it is measured again at the next start. Make space for it, or the folder writable.`,
    { cause },
  );
}

/** A calibration as a JSON file: readable by people, and by `thalamus doctor`. */
export class JsonCalibrationFile implements CalibrationFile {
  constructor(private readonly path: string) {}

  /** A file that is damaged is as good as none: it is measured again and written anew. */
  async read(): Promise<KeptCalibration | undefined> {
    try {
      return schema.parse(JSON.parse(await readFile(this.path, 'utf8')));
    } catch {
      return undefined;
    }
  }

  async write(kept: KeptCalibration): Promise<void> {
    const writing = `${this.path}.new`;
    try {
      await mkdir(dirname(this.path), { recursive: true });
      await writeFile(writing, `${JSON.stringify(kept, undefined, 2)}\n`);
      await rename(writing, this.path);
    } catch (cause) {
      await rm(writing, { force: true }).catch(() => undefined);
      throw unwritable(this.path, cause);
    }
  }
}
