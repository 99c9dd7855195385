import { mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { JsonCalibrationFile, PLAIN, type KeptCalibration } from '../src/index.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'thalamus-calibration-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const KEPT: KeptCalibration = {
  machine: 'here',
  measuredAt: '2026-01-01T00:00:00.000Z',
  choice: { threads: 2, weights: 'expanded', arena: false },
  trials: [{ choice: PLAIN, aloneMs: 2, batchMs: 9 }],
  children: 2,
  gain: 1.4,
};

describe('JsonCalibrationFile', () => {
  it('reads what it wrote, in a folder that it makes, and leaves nothing else there', async () => {
    const file = new JsonCalibrationFile(join(folder, 'host', 'calibration.json'));
    expect(await file.read()).toBeUndefined();
    await file.write(KEPT);
    expect(await file.read()).toEqual(KEPT);
    expect(await readdir(join(folder, 'host'))).toEqual(['calibration.json']);
  });

  it.each([
    ['cut short', (path: string) => truncate(path, 100)],
    ['empty', (path: string) => truncate(path, 0)],
    ['of an unknown field', changed({ more: 1 })],
    ['of more threads than are ever chosen', changed({ choice: { ...KEPT.choice, threads: 100_000 } })],
    ['of more processes than are ever chosen', changed({ children: 500 })],
    ['of no trial', changed({ trials: [] })],
  ])('takes a file %s for none, and writes it anew', async (_, damage) => {
    const path = join(folder, 'calibration.json');
    const file = new JsonCalibrationFile(path);
    await file.write(KEPT);
    await damage(path);
    expect(await file.read()).toBeUndefined();
    await file.write(KEPT);
    expect(await file.read()).toEqual(KEPT);
  });

  it('says where it could not write, and why, and leaves nothing half written', async () => {
    const path = join(folder, 'calibration.json');
    await mkdir(path);
    const file = new JsonCalibrationFile(path);
    expect(await file.read()).toBeUndefined();
    await expect(file.write(KEPT)).rejects.toMatchObject({
      code: 'ARTIFACT_STORE_FULL',
      message: expect.stringMatching(/calibration\.json \(E\w+\): it is measured again/) as string,
    });
    expect(await readdir(folder)).toEqual(['calibration.json']);
  });
});

/** Writes some fields anew. */
function changed(fields: object) {
  return async (path: string) => {
    const kept = JSON.parse(await readFile(path, 'utf8')) as object;
    await writeFile(path, JSON.stringify({ ...kept, ...fields }));
  };
}
