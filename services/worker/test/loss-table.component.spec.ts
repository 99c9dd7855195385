import { openBundle, parseDigest, readArtifact } from '@thalamus/bundle';
import { jobV1 } from '@thalamus/contracts';
import { OrtRuntime, Tokenizer } from '@thalamus/inference';
import { writePicoLowRank, writePicoMaskedLm } from '@thalamus/testing';
import {
  joinParts,
  lossTableFile,
  makeTableRun,
  measureTable,
  openTrainingBase,
  PartialTable,
  runDigest,
} from '@thalamus/training';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { MeshProcesses } from './mesh-processes.js';

const { JobState } = jobV1;
// Several processes on a machine that may be busy: bounds against hanging, not promises.
vi.setConfig({ testTimeout: 240_000 });
const OFTEN = { THALAMUS_CHECKPOINT_MS: '100' };
const WORDS = 'the card lost my law court hello world money please block it'.split(' ');
const LABELS = ['one', 'two', 'three'];
const mesh = new MeshProcesses();
const at = (name: string) => join(mesh.folder, name);

/** Prompts as JSONL; labelled ones have one label that nobody knows, among others. */
function prompts(count: number, labels?: readonly string[]): string {
  const rows = Array.from({ length: count }, (_, row) => ({
    text: Array.from(
      { length: 4 + (row % 18) },
      (_unused, place) => WORDS[(row * 5 + place * row) % 12],
    ).join(' '),
    id: `p${row}`,
    ...(labels ? { label: labels[row % labels.length] } : {}),
  }));
  return rows.map((row) => JSON.stringify(row)).join('\n');
}

const PROMPTS = {
  words: prompts(200),
  many: prompts(3_000),
  orders: prompts(100, [...LABELS, 'four', 'never']),
};

const submit = (experts: readonly string[], dataset: string, part: number, parts: number) =>
  mesh.submit('loss-table', {
    experts: experts.map((name) => `${name}@1`),
    dataset: `${dataset}@1`,
    part,
    parts,
  });

/** The losses of a job that ended well, and where they lie. */
async function lossesOf(id: string) {
  const job = await mesh.end(id);
  expect(job).toMatchObject({ state: JobState.SUCCEEDED, errorMessage: '' });
  expect(job.outputs.map(({ name }) => name)).toEqual(['losses']);
  const digest = parseDigest(job.outputs[0]!.digest);
  const path = at(`${id}.jsonl`);
  writeFileSync(path, await readArtifact(mesh.artifacts, digest, 1e8));
  return { job, digest, path };
}

/** The table of experts in this process, and the run. */
async function measuredHere(names: readonly string[], dataset: 'words' | 'orders') {
  const experts = await Promise.all(names.map((name) => openBundle(at(name))));
  const file = { bytes: Buffer.from(PROMPTS[dataset]), file: dataset };
  const run = makeTableRun(experts, file, { masks: 4, seed: 0 });
  const runtime = new OrtRuntime();
  const tools = { runtime, threads: 1, readTokenizer: (json: Uint8Array) => Tokenizer.parse(json) };
  const kept = PartialTable.open(at(`${dataset}.partial`), runDigest(run));
  try {
    await measureTable(run, { ...tools, base: await openTrainingBase(at('pico'), tools) }, kept);
    return { run, table: await lossTableFile(run, (expert, chunk) => kept.get(expert, chunk), FACTS) };
  } finally {
    kept.close();
    await runtime.close();
  }
}
const FACTS = { set: 's', licence: 'CC0-1.0', origin: 'here' };

beforeAll(async () => {
  await mesh.start();
  await mesh.registerPicoBase('pico');
  const { digest } = await openBundle(at('pico'));
  const on = { name: 'pico', digest };
  const branches = { rank: 2, alpha: 4 };
  for (const seed of [1, 2]) {
    await writePicoMaskedLm(at(`m${seed}`), { name: `m${seed}`, seed }, on, branches);
    const labels = seed === 1 ? LABELS : [...LABELS, 'four'];
    await writePicoLowRank(at(`c${seed}`), { name: `c${seed}`, seed }, labels, on, branches);
    await mesh.registerBundle(at(`m${seed}`));
    await mesh.registerBundle(at(`c${seed}`));
  }
  for (const [name, lines] of Object.entries(PROMPTS)) await mesh.registerData(name, lines);
  await mesh.registerData('odd', '{"text": "secret words", "label": "one", "lable": "x"}\n');
}, 60_000);

afterAll(() => mesh.stop());

describe('workers that measure a loss table', () => {
  it.each([
    { experts: ['m1', 'm2'], dataset: 'words' },
    { experts: ['c1', 'c2'], dataset: 'orders' },
  ] as const)(
    'give parts that join to the bytes of the table that one process writes: $dataset',
    async ({ experts, dataset }) => {
      const workers = [await mesh.worker(), await mesh.worker()];
      const ids = [await submit(experts, dataset, 1, 2), await submit(experts, dataset, 2, 2)];
      const parts = await Promise.all(ids.map(lossesOf));
      const { run, table } = await measuredHere(experts, dataset);
      const digest = runDigest(run);
      expect(parts.map(({ job }) => job.result?.['run'])).toEqual([digest, digest]);
      const tables = parts.map(({ path }) => PartialTable.open(path, digest));
      const joined = await lossTableFile(run, joinParts(run, tables), FACTS);
      for (const one of tables) one.close();
      expect(joined.digest).toBe(table.digest);
      expect(Buffer.from(joined.bytes).equals(table.bytes)).toBe(true);
      // The comparison is of results, not of their absence.
      expect(joined.experts.map(({ missing }) => missing)).toEqual([0, 0]);
      expect(gunzipSync(joined.bytes).toString()).toMatch(/"losses":\[\d/);
      for (const worker of workers) worker.signal('SIGTERM');
      for (const worker of workers) expect(await worker.exited).toBe(0);
    },
  );

  it('of which one is killed: another goes on from what is stored, to the same bits', async () => {
    const first = await mesh.worker(2_000, OFTEN);
    const calm = await lossesOf(await submit(['m1', 'm2'], 'many', 2, 2));
    // Another job of the same part.
    const phoenix = await submit(['m1', 'm2'], 'many', 2, 2);
    const stored = await mesh.until(
      phoenix,
      ({ checkpoint, progress }) => checkpoint?.name === 'losses' && (progress?.done ?? 0n) > 0n,
    );
    first.signal('SIGKILL');
    expect(await first.exited).toBe('SIGKILL');
    const second = await mesh.worker(2_000, OFTEN);
    const again = await lossesOf(phoenix);
    expect(again.job).toMatchObject({ attempt: 2 });
    expect(again.digest).toBe(calm.digest);
    expect(stored.checkpoint?.digest).not.toBe(calm.digest);
    // What was stored when the worker died is what the result begins with.
    const kept = await readArtifact(mesh.artifacts, parseDigest(stored.checkpoint!.digest), 1e8);
    const whole = await readArtifact(mesh.artifacts, again.digest, 1e8);
    const end = kept.lastIndexOf(10) + 1;
    expect(end).toBeGreaterThan(0);
    expect(Buffer.from(kept.subarray(0, end)).equals(whole.subarray(0, end))).toBe(true);
    second.signal('SIGTERM');
    expect(await second.exited).toBe(0);
  });

  it('are never asked for what cannot work, and end a job whose prompts are none without a word of them', async () => {
    await expect(submit(['m1', 'c1'], 'words', 1, 1)).rejects.toThrow(/m1@1 is for fill-mask, c1@1 for text/);
    await expect(submit(['m1', 'm9'], 'words', 1, 1)).rejects.toThrow(/m9@1 is registered/);
    await expect(submit(['m1', 'm2'], 'none', 1, 1)).rejects.toThrow(/No data set none@1/);
    await expect(submit(['m1', 'm2'], 'words', 3, 2)).rejects.toThrow(/part must be 1 to 2/);
    await expect(submit(['m1', 'm2'], 'words', 0, 0)).rejects.toThrow(/parts must be 1 or more/);
    const { jobs } = await mesh.jobs.list({ kind: 'loss-table', state: JobState.QUEUED });
    expect(jobs).toEqual([]);
    const worker = await mesh.worker();
    const job = await mesh.end(await submit(['c1', 'c2'], 'odd', 1, 1));
    expect(job).toMatchObject({ state: JobState.FAILED, errorCode: 'DATASET_INVALID', attempt: 1 });
    expect(job.errorMessage).toContain('odd@1: line 1 has the unknown field "lable"');
    expect(job.errorMessage).not.toContain('secret');
    worker.signal('SIGTERM');
    expect(await worker.exited).toBe(0);
  });
});
