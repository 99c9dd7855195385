import { FolderArtifactStore, importBundle } from '@thalamus/bundle';
import { linearGraph, writePicoGraph } from '@thalamus/testing';
import { mkdtemp, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { CheckedBundles } from './checked-bundles.js';
import { MODEL_FILE } from './inspect-bundle.js';

async function imported() {
  const folder = await mkdtemp(join(tmpdir(), 'thalamus-checked-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const store = new FolderArtifactStore(join(folder, 'artifacts'));
  await writePicoGraph(join(folder, 'linear'), { name: 'linear' }, linearGraph());
  const { digest } = await importBundle(join(folder, 'linear'), store);
  const bundles = new CheckedBundles(store, join(folder, 'cache'));
  return { digest, bundles, first: await bundles.open(digest) };
}

describe('CheckedBundles', () => {
  it('opens what it has checked without looking into it again', async () => {
    const { digest, bundles, first } = await imported();
    expect(await bundles.open(digest)).toBe(first);
    expect(await bundles.summary(first)).toBe(await bundles.summary(first));
  });

  it('checks again what was written to, though size and time are those of before, and mends it', async () => {
    const { digest, bundles, first } = await imported();
    const path = first.filePath(MODEL_FILE);
    const before = await readFile(path);
    const { atime, mtime } = await stat(path);
    const changed = Buffer.from(before);
    changed[changed.length - 3]! ^= 1;
    await new Promise((resolve) => setTimeout(resolve, 20));
    await writeFile(path, changed);
    await utimes(path, atime, mtime);
    const again = await bundles.open(digest);
    expect(again).not.toBe(first);
    expect(await readFile(again.filePath(MODEL_FILE))).toEqual(before);
  });

  it('checks again when another file lies in the place of one, or beside it', async () => {
    for (const spoil of [
      async (folder: string) => {
        await writeFile(join(folder, 'other'), await readFile(join(folder, MODEL_FILE)));
        await rename(join(folder, 'other'), join(folder, MODEL_FILE));
      },
      (folder: string) => writeFile(join(folder, 'beside.bin'), 'x'),
    ]) {
      const { digest, bundles, first } = await imported();
      await spoil(first.folder);
      const again = await bundles.open(digest);
      expect(again).not.toBe(first);
      expect(await bundles.open(digest)).toBe(again);
    }
  });
});
