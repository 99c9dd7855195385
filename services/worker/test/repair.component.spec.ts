import {
  MAX_MANIFEST_BYTES,
  parseDigest,
  parseExpertManifest,
  readArtifact,
  readSafetensors,
} from '@thalamus/bundle';
import { jobV1, releaseV1 } from '@thalamus/contracts';
import { createRandom } from '@thalamus/tensor';
import { writePicoBase, writePicoLowRank } from '@thalamus/testing';
import { writeCsv } from '@thalamus/training';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { childrenOf, isAlive, MeshProcesses, type ServiceProcess } from './mesh-processes.js';

const { JobState } = jobV1;
const { ReleaseState } = releaseV1;
// Several processes on a machine that may be busy: bounds against hanging, not promises.
vi.setConfig({ testTimeout: 240_000 });
const PATIENCE = { timeout: 60_000, interval: 50 };
const OFTEN = { THALAMUS_CHECKPOINT_MS: '150' };
const LABELS = ['card', 'law'];
const mesh = new MeshProcesses();
const workers: ServiceProcess[] = [];

/** Rows whose label is one of their words. */
function rows(count: number, seed: number) {
  const random = createRandom(seed);
  const fillers = ['the', 'my', 'please', 'it', 'hello', 'world', 'money', 'block'];
  const filler = () => fillers[random.below(fillers.length)]!;
  return Array.from({ length: count }, (_, index) => {
    const label = LABELS[random.below(LABELS.length)]!;
    return { text: [filler(), label, filler(), String(seed * 1_000 + index)].join(' '), label };
  });
}

const SETTINGS = { epochs: 60, patience: 1_000, rate: 5e-3, headRate: 2e-2, rowsPerBatch: 8, seed: 3 };
const WANTED = {
  ...{ from: 'intents@1', to: 'intents@2', dataset: 'unseen@1', testDataset: 'judging@1' },
  ...SETTINGS,
};
const isTraining = ({ state, progress }: jobV1.Job) =>
  state === JobState.RUNNING &&
  progress?.stage === 'training' &&
  progress.done > 0n &&
  progress.done < progress.total;
const hasCheckpoint = (job: jobV1.Job) => isTraining(job) && job.checkpoint?.name === 'training';
/** In the second training, that of the repair: the control is done. */
const isLate = (job: jobV1.Job) => hasCheckpoint(job) && 3n * job.progress!.done > 2n * job.progress!.total;

const outputOf = (job: jobV1.Job, name: string) =>
  parseDigest(job.outputs.find((output) => output.name === name)?.digest ?? '');
/** Rows of a file of predictions. */
const predictionsOf = async (job: jobV1.Job, name: string) =>
  new TextDecoder()
    .decode(await readArtifact(mesh.artifacts, outputOf(job, name), 10e6))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Readonly<Record<'id' | 'label' | 'prediction', string>>);

async function startWorker(...given: Parameters<MeshProcesses['worker']>): Promise<ServiceProcess> {
  const worker = await mesh.worker(...given);
  workers.push(worker);
  return worker;
}

/** What the repair gives when nothing disturbs it. */
let undisturbed: jobV1.Job;

beforeAll(async () => {
  await mesh.start();
  const at = (name: string) => join(mesh.folder, name);
  const { digest } = await writePicoBase(at('base'), { name: 'pico' });
  const second = await writePicoBase(at('base-2'), { name: 'pico', version: '2', seed: 4 });
  for (const folder of ['base', 'base-2']) await mesh.registerBundle(at(folder));
  for (const [version, base, labels] of [
    ['1', digest, LABELS],
    ['2', second.digest, [...LABELS].reverse()],
    ['3', second.digest, ['card', 'money']],
  ] as const) {
    const name = { name: 'intents', version, seed: Number(version) };
    const branches = { rank: 2, alpha: 4 };
    await writePicoLowRank(at(`v${version}`), name, labels, { name: 'pico', digest: base }, branches);
    await mesh.registerBundle(at(`v${version}`));
  }
  await mesh.registerData('unseen', writeCsv(rows(150, 1)));
  await mesh.registerData('judging', writeCsv(rows(60, 2)), 'test');
  await mesh.registerData('few', writeCsv(rows(20, 3)));
  await mesh.registerData(
    'foreign',
    writeCsv(rows(60, 4).map(({ text }, at) => ({ text, label: `l${at % 2}` }))),
  );
}, 60_000);

afterAll(() => mesh.stop());

// A worker of a test that failed would take the jobs of the next.
afterEach(async () => {
  for (const worker of workers.splice(0)) {
    worker.signal('SIGKILL');
    await worker.exited;
  }
});

const versions = async () => (await mesh.versionsOf('intents')).map(({ version }) => version);

describe('a worker that repairs', () => {
  it('gives a bundle like the new version and the answers of both on the rows that judge, and registers nothing', async () => {
    await startWorker();
    undisturbed = await mesh.end(await mesh.submit('repair', WANTED));
    expect(undisturbed).toMatchObject({ state: JobState.SUCCEEDED, attempt: 1 });
    expect(undisturbed.outputs.map(({ name }) => name)).toEqual(['bundle', 'old-predictions', 'predictions']);
    const digest = outputOf(undisturbed, 'bundle');
    const { verdict, reason } = undisturbed.result as Record<string, string>;
    expect(undisturbed.result).toMatchObject({
      ...{ expert: 'intents', version: '4', digest, from: 'intents@1', to: 'intents@2', seed: 3 },
      ...{ dataset: 'unseen@1', method: 'mean-ce', rows: { test: 60 } },
    });
    expect(['repaired', 'not-shown', 'worse']).toContain(verdict);
    expect(reason).toMatch(/of 60 held-out rows flip from right to wrong/);
    const manifest = parseExpertManifest(await readArtifact(mesh.artifacts, digest, MAX_MANIFEST_BYTES));
    const parents = (await mesh.versionsOf('intents')).map(({ manifestDigest }) => manifestDigest);
    expect(manifest).toMatchObject({
      name: 'intents',
      version: '4',
      kind: 'lowrank',
      labels: ['law', 'card'],
    });
    expect(manifest.lineage?.parents.slice(0, 2).map((parent) => parent.digest)).toEqual([
      parents[1],
      parents[0],
    ]);
    expect(manifest.lineage).toMatchObject({ seed: 3 });
    expect(manifest.trainingData.at(-1)).toMatchObject({ name: 'unseen@1', licence: 'CC0-1.0' });
    const old = await predictionsOf(undisturbed, 'old-predictions');
    const repaired = await predictionsOf(undisturbed, 'predictions');
    expect(old.map(({ id, label }) => [id, label])).toEqual(repaired.map(({ id, label }) => [id, label]));
    // As the manifest says: counted by others, on what was stored.
    const right = repaired.filter(({ label, prediction }) => label === prediction).length;
    const accuracy = manifest.evaluation.find(
      ({ split, metric }) => split === 'test' && metric === 'accuracy',
    );
    expect(right / 60).toBeCloseTo(accuracy?.value ?? 0, 5);
    expect(await versions()).toEqual(['1', '2', '3']);
  });

  it('that is killed in either training is replaced: another goes on from its checkpoint, to the same bits', async () => {
    const id = await mesh.submit('repair', WANTED);
    const first = await startWorker(2_000, OFTEN);
    await mesh.until(id, hasCheckpoint);
    await killed(first);
    const second = await startWorker(2_000, OFTEN);
    await mesh.until(id, isLate);
    const { job } = await mesh.jobs.get({ id });
    const kept = readSafetensors(
      await readArtifact(mesh.artifacts, parseDigest(job!.checkpoint!.digest), 100e6),
    );
    // What the control answered is kept with the repair: it is not trained again.
    expect(JSON.parse(kept.metadata['facts']!)).toHaveProperty('continued');
    await killed(second);
    await startWorker();
    const told: number[] = [];
    const done = await mesh.until(id, (now) => {
      if (isTraining(now) && now.attempt === 3) told.push(Number(now.progress!.done));
      return now.state === JobState.SUCCEEDED;
    });
    expect(done.attempt).toBe(3);
    expect(Math.min(...told)).toBeGreaterThan(Number(done.progress?.total ?? 0n) / 2);
    expect(done.outputs).toEqual(undisturbed.outputs);
  });

  it('ends a job that is cancelled', async () => {
    const worker = await startWorker();
    const id = await mesh.submit('repair', WANTED);
    await mesh.until(id, isTraining);
    const [child] = childrenOf(worker.pid);
    await mesh.jobs.cancel({ id });
    expect(await mesh.end(id)).toMatchObject({ state: JobState.CANCELLED, outputs: [] });
    await vi.waitUntil(() => !isAlive(child!), PATIENCE);
  });

  it.each([
    ['too few rows', { dataset: 'few@1' }, /few@1 holds \d+ rows; a repair .* needs at least 40/],
    ['rows with other labels', { dataset: 'foreign@1' }, /foreign@1: the label on line 2 is none of the 2/],
    [
      'versions with other labels',
      { to: 'intents@3' },
      /the label on line \d+ is none of the 2|have other labels/,
    ],
  ])('fails of %s before anything is trained', async (_, more, message) => {
    await startWorker();
    const { testDataset, ...wanted } = WANTED;
    expect(testDataset).toBe('judging@1');
    const job = await mesh.end(await mesh.submit('repair', { ...wanted, ...more }));
    expect(job).toMatchObject({ state: JobState.FAILED, attempt: 1, outputs: [] });
    expect(job.errorMessage).toMatch(message);
  });

  it.each([
    ['an unknown version', { to: 'intents@9' }, /No version intents@9 is registered/],
    ['a test split to learn from', { dataset: 'judging@1' }, /judging@1 is the test split judging@1/],
    ['a base', { to: 'pico@1' }, /pico@1 is full for feature-extraction; a repair trains a low-rank/],
    ['one version twice', { from: 'intents@2' }, /are the same bundle/],
    ['rank', { rank: 4 }, /parameters\.rank is unknown/],
  ])('is not asked to with %s', async (_, more, message) => {
    await expect(mesh.submit('repair', { ...WANTED, ...more })).rejects.toThrow(message);
  });
});

it('a release that stands is repaired by a worker while its updater is killed, and goes on with what that made', async () => {
  const answers = async (wrong: number) => {
    const line = (_: unknown, id: number) =>
      JSON.stringify({ id: String(id), label: 'card', prediction: id < wrong ? 'law' : 'card' });
    const { digest } = await mesh.artifacts.put(Buffer.from(Array.from({ length: 50 }, line).join('\n')));
    return digest;
  };
  const [oldDigest, newDigest] = [await answers(0), await answers(25)];
  const plan = { negativeFlipBudget: 0.9, overrideReason: 'labels in another order' };
  const { release } = await mesh.releases.start({
    expert: 'intents',
    toVersion: '2',
    ...{ oldDigest, newDigest },
    ...plan,
  });
  const id = release!.id;
  const { testDataset, ...settings } = { testDataset: 'judging@1', ...SETTINGS };
  const { jobId } = await mesh.releases.repair({
    ...{ releaseId: id, dataset: 'unseen@1', parameters: { testDataset, ...settings, method: 'continued' } },
  });
  await startWorker(30_000, OFTEN);
  await mesh.until(jobId, isTraining);
  await mesh.replaceUpdater();
  // Whoever asks an updater that is being replaced asks again.
  const done = await vi.waitFor(
    async () => {
      const found = (await mesh.releases.getRelease({ id })).release!;
      expect(found.repair?.ended).toBe(true);
      return found;
    },
    { timeout: 200_000, interval: 200 },
  );
  expect(done.stopped).toBe('');
  expect(done).toMatchObject({ state: ReleaseState.REPAIRED, fromVersion: '1', toVersion: '4' });
  const job = (await mesh.jobs.get({ id: jobId })).job!;
  expect(job).toMatchObject({ state: JobState.SUCCEEDED, attempt: 1 });
  expect(done.history.at(-1)?.evidence.slice(0, 3)).toEqual(job.outputs.map(({ digest }) => digest));
  expect(done.comparison?.overall?.n).toBe(60n);
  const registered = (await mesh.versionsOf('intents')).find(({ version }) => version === '4');
  expect(registered?.manifestDigest).toBe(outputOf(job, 'bundle'));
  const { resource } = await mesh.registry.getResource({ key: 'expert/intents' });
  expect(resource?.value.value).toMatchObject({ stable: '1', shadow: '4' });
});

/** Kills a worker and waits until its own process has gone. */
async function killed(worker: ServiceProcess): Promise<void> {
  const [child] = childrenOf(worker.pid);
  worker.signal('SIGKILL');
  expect(await worker.exited).toBe('SIGKILL');
  if (child !== undefined) await vi.waitUntil(() => !isAlive(child), PATIENCE);
}
