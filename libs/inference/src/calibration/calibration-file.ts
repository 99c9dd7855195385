import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import type { CalibrationFile, KeptCalibration } from './calibrator.port.js';

/** In the data folder of the host. */
export const CALIBRATION_FILE = 'calibration.json';

const milliseconds = z.number().positive();
const choice = z.strictObject({
  threads: z.int().positive(),
  weights: z.enum(['stored', 'expanded']),
  arena: z.boolean(),
});
const schema = z.strictObject({
  machine: z.string(),
  measuredAt: z.iso.datetime(),
  choice,
  children: z.int().positive(),
  gain: z.number().positive(),
  trials: z.array(z.strictObject({ choice, aloneMs: milliseconds, batchMs: milliseconds })).min(1),
});

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
    await mkdir(dirname(this.path), { recursive: true });
    await writeFile(`${this.path}.new`, `${JSON.stringify(kept, undefined, 2)}\n`);
    await rename(`${this.path}.new`, this.path);
  }
}
