import { openBundle, type Digest } from '@thalamus/bundle';
import { createRandom } from '@thalamus/tensor';
import { writePicoBase, writePicoLowRank } from '@thalamus/testing';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { repairLocal, type RepairOptions } from './repair-local.js';

const LABELS = ['card', 'law'];

/** Rows of a CSV file, each with its label among its words. */
function rows(count: number, labels: readonly string[], seed = 1): string {
  const random = createRandom(seed);
  const fillers = ['the', 'my', 'please', 'it', 'hello', 'world'];
  const lines = Array.from({ length: count }, (_, at) => {
    const label = labels[random.below(labels.length)] ?? '';
    return `${fillers[random.below(fillers.length)] ?? ''} ${label} ${at},${label}`;
  });
  return `text,label\n${lines.join('\n')}\n`;
}

describe('release repair', { timeout: 120_000 }, () => {
  let folder = '';
  let options: RepairOptions;
  let printed = '';
  let said = '';
  const at = (name: string) => join(folder, name);

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'repair-'));
    const { digest } = await writePicoBase(at('base'), { name: 'pico' });
    const second = await writePicoBase(at('base-2'), { name: 'pico', version: '2', seed: 4 });
    const rank = { rank: 2, alpha: 4 };
    const lowRank = (name: string, version: string, labels: readonly string[], base: Digest) =>
      writePicoLowRank(
        at(name),
        { name: 'intents', version, seed: Number(version) },
        labels,
        { name: 'pico', digest: base },
        rank,
      );
    await lowRank('v1', '1', LABELS, digest);
    await lowRank('v2', '2', [...LABELS].reverse(), second.digest);
    await lowRank('odd', '3', [...LABELS, 'money'], second.digest);
    await writeFile(at('rows.csv'), rows(120, LABELS));
    await writeFile(at('three.csv'), rows(3, LABELS));
    await writeFile(at('other.csv'), rows(60, [...LABELS, 'block']));
    options = {
      json: true,
      from: at('v1'),
      to: at('v2'),
      fromBase: at('base'),
      base: at('base-2'),
      data: at('rows.csv'),
      out: at('out'),
      method: 'muscle',
      licence: 'NOASSERTION',
      origin: 'this test',
      ignoreColumn: [],
      seed: 0,
      epochs: 1,
      threads: 1,
      restart: false,
      checkpointMinutes: 5,
      mesh: at('no-mesh'),
    };
    vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
      printed += String(text);
      return true;
    });
    vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
      said += String(text);
      return true;
    });
  });
  afterEach(() => {
    process.exitCode = undefined;
    printed = '';
    said = '';
  });
  afterAll(async () => {
    vi.restoreAllMocks();
    await rm(folder, { recursive: true, force: true });
  });

  it('writes a bundle on the new base with both versions in its lineage, and says how it was judged; data of the same name is pointed out', async () => {
    await repairLocal(options);
    const { manifest, digest } = await openBundle(at('out'));
    const answer = JSON.parse(printed) as { digest: string; judgement: { verdict: string; reason: string } };
    expect(answer).toMatchObject({ expert: 'intents', version: '3', method: 'muscle', digest });
    expect(answer.judgement.reason).toMatch(/held-out rows flip from right to wrong/);
    const { manifest: like } = await openBundle(at('v2'));
    expect(manifest).toMatchObject({ kind: 'lowrank', base: like.base, labels: like.labels });
    expect(manifest.lineage?.parents.map(({ version }) => version)).toEqual(['2', '1', '2']);
    expect(await readdir(folder)).not.toContain('out.training');
    expect(process.exitCode).toBe(answer.judgement.verdict === 'worse' ? 4 : undefined);

    // What was repaired with rows of this name is repaired with them again: that is said.
    printed = '';
    await repairLocal({ ...options, to: at('out'), json: false, out: at('again') });
    expect(said).toMatch(/rows\.csv: intents@3 was trained on data of this name/);
    expect(said).not.toMatch(/intents@1 was trained/);
    expect(printed).toMatch(/trained on by the labels/);
    expect(printed).toMatch(/npx thalamus experts add/);
  });

  it.each<[string, Partial<Record<keyof RepairOptions, string | undefined>>, RegExp]>([
    ['three rows', { data: 'three.csv' }, /three\.csv holds 3 rows; a repair .* needs at least 40/],
    [
      'labels that the versions do not have',
      { data: 'other.csv' },
      /other\.csv: the label on line \d+ is none of the 2/,
    ],
    ['a file that is missing', { data: 'none.csv' }, /none\.csv cannot be read \(ENOENT\)/],
    ['versions with other labels', { to: 'odd' }, /have other labels: only intents@3 has "money"/],
    ['the same version twice', { from: 'v2', fromBase: 'base-2' }, /--from and --to are the same bundle/],
    [
      'the base of the other version',
      { base: 'base' },
      /v2 stands on pico sha256:\w+, but .*base is pico .* with --base/,
    ],
    [
      'a base that is not the shipped one',
      { fromBase: undefined },
      /v1 stands on pico .* name its folder with --from-base/,
    ],
    ['a folder that is no bundle', { to: 'rows.csv' }, /rows\.csv/],
  ])('refuses %s', async (_, given, message) => {
    const wrong = Object.fromEntries(
      Object.entries(given).map(([name, value]) => [name, value === undefined ? undefined : at(value)]),
    );
    await expect(repairLocal({ ...options, out: at('refused'), ...wrong })).rejects.toThrow(message);
    expect(await readdir(folder)).not.toContain('refused');
  });

  it('a name needs a version, and a mesh', async () => {
    await expect(repairLocal({ ...options, from: 'intents' })).rejects.toThrow(
      /--from intents: write NAME@VERSION/,
    );
    await expect(repairLocal({ ...options, from: 'intents@1' })).rejects.toThrow(/No mesh runs/);
  });
});
