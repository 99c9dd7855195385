import { openBundle, PEFT_FILES } from '@thalamus/bundle';
import { writePicoBase, writePicoLowRank } from '@thalamus/testing';
import { copyFile, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { importLocal } from './import-local.js';
import type { ImportOptions } from './import-options.js';

describe('experts import', () => {
  let folder = '';
  let options: ImportOptions;
  const at = (name: string) => join(folder, name);

  beforeAll(async () => {
    vi.spyOn(process.stdout, 'write').mockReturnValue(true);
    folder = await mkdtemp(join(tmpdir(), 'import-'));
    const { digest } = await writePicoBase(at('base'), { name: 'pico' });
    const over = { name: 'pico', digest };
    await writePicoLowRank(at('expert'), { name: 'original' }, ['a', 'b'], over, { rank: 2, alpha: 4 });
    await mkdir(at('peft'));
    await copyFile(at('expert/adapter.safetensors'), join(at('peft'), PEFT_FILES.adapter));
    await copyFile(at('expert/adapter_config.json'), join(at('peft'), PEFT_FILES.config));
    options = {
      json: true,
      base: at('base'),
      head: at('expert/head.safetensors'),
      out: at('out'),
      name: 'imported',
      expertVersion: '1',
      licence: 'CC0-1.0',
      origin: 'this test',
    };
  });
  afterAll(async () => {
    vi.restoreAllMocks();
    await rm(folder, { recursive: true, force: true });
  });

  it.each([
    ['none', undefined, ['LABEL_0', 'LABEL_1']],
    ['a list', 'no, yes', ['no', 'yes']],
    ['a file', 'labels.txt', ['first one', 'second, one']],
  ])('writes the expert, labels from %s', async (_, given, wanted) => {
    await writeFile(at('labels.txt'), 'first one\nsecond, one\n');
    const labels = given === 'labels.txt' ? at(given) : given;
    await importLocal(at('peft'), { ...options, ...(labels === undefined ? {} : { labels }) });
    const { manifest, readFile } = await openBundle(at('out'));
    expect(manifest).toMatchObject({ name: 'imported', kind: 'lowrank', labels: wanted, evaluation: [] });
    const original = await openBundle(at('expert'));
    for (const file of ['adapter.safetensors', 'head.safetensors'])
      expect(await readFile(file)).toEqual(await original.readFile(file));
  });

  it.each<[string, Partial<ImportOptions>, RegExp]>([
    ['too few labels', { labels: 'a' }, /1 labels .* for a head of 2 rows/],
    ['an empty label', { labels: 'a,' }, /label 2 is empty/],
    ['a name that is none', { name: 'No Name' }, /"No Name" is no name of an expert/],
    ['a head that is missing', { head: 'none.safetensors' }, /none\.safetensors cannot be read \(ENOENT\)/],
    [
      'no head at all',
      { head: undefined as never },
      /classifier\.weight is missing: the adapter has no head/,
    ],
  ])('refuses %s and writes nothing', async (_, more, pattern) => {
    const before = await readdir(folder);
    await expect(importLocal(at('peft'), { ...options, out: at('refused'), ...more })).rejects.toThrow(
      pattern,
    );
    expect(await readdir(folder)).toEqual(before);
  });

  it('does not write over a folder that is no expert', async () => {
    await expect(importLocal(at('peft'), { ...options, out: at('peft') })).rejects.toThrow(
      /exists and is no expert's bundle/,
    );
  });
});
