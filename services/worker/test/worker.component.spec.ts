import { MAX_MANIFEST_BYTES, parseDigest, parseExpertManifest, readArtifact } from '@thalamus/bundle';
import { jobV1, releaseV1 } from '@thalamus/contracts';
import { readCsv, writeCsv } from '@thalamus/training';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { childrenOf, isAlive, isEnd, MeshProcesses, type ServiceProcess } from './mesh-processes.js';

const { JobState } = jobV1;
// Real models on a machine that may be busy: bounds against hanging, not promises.
vi.setConfig({ testTimeout: 240_000 });
const PATIENCE = { timeout: 20_000, interval: 20 };
const mesh = new MeshProcesses();

/** Real prompts of the zoo's samples; the label is the set that they are from. */
function rows(sets: readonly string[], part: string, perSet: number) {
  return sets.flatMap((set) => {
    const path = new URL(`../../../zoo/data/sample/${set}.${part}.csv`, import.meta.url);
    return readCsv(readFileSync(path), set)
      .slice(0, perSet)
      .map(({ text }) => ({ text, label: set }));
  });
}

const SETS = ['banking77', 'snips7', 'overruling'];
const isEmbedding = ({ progress }: jobV1.Job) =>
  progress?.stage === 'embedding' && progress.done > 0n && progress.done < progress.total;

async function manifestOf(digest: string) {
  return parseExpertManifest(await readArtifact(mesh.artifacts, parseDigest(digest), MAX_MANIFEST_BYTES));
}

/** Digest of the weights: independent of name, version and day. */
async function weightsOf(job: jobV1.Job) {
  const { files } = await manifestOf(job.outputs[0]!.digest);
  return files.find(({ path }) => path === 'head.safetensors')?.sha256;
}

async function end(worker: ServiceProcess) {
  worker.signal('SIGTERM');
  expect(await worker.exited).toBe(0);
}

let data: string;
let test: string;
/** Weights of the data when nothing disturbs the training. */
let weights: string | undefined;

beforeAll(async () => {
  await mesh.start();
  await mesh.registerBase();
  data = await mesh.registerData('domains', writeCsv(rows(SETS, 'train', 200)));
  test = await mesh.registerData('domains-test', writeCsv(rows(SETS, 'test', 40)), 'test');
}, 60_000);

afterAll(() => mesh.stop());

describe('a worker', () => {
  it('trains a probe and registers it with figures, licence, data and lineage', async () => {
    const worker = await mesh.worker();
    const id = await mesh.submit('train', { expert: 'undisturbed', dataset: data, testDataset: test });
    const job = await mesh.end(id);
    expect(job).toMatchObject({ state: JobState.SUCCEEDED, attempt: 1 });
    expect(job.result).toMatchObject({ expert: 'undisturbed', version: '1', labels: 3 });
    const manifest = await manifestOf(job.outputs[0]!.digest);
    expect(manifest).toMatchObject({ kind: 'probe', labels: [...SETS].sort(), licence: 'CC0-1.0' });
    expect(manifest.trainingData[0]).toMatchObject({ name: 'domains@1', licence: 'CC0-1.0' });
    expect(manifest.lineage?.parents[0]).toMatchObject({ name: 'minilm-l6', digest: manifest.base?.digest });
    const figures = new Map(
      manifest.evaluation.map((row) => [`${row.dataset} ${row.split} ${row.metric}`, row]),
    );
    expect(figures.get('domains-test test accuracy')).toMatchObject({ n: 120 });
    expect(figures.get('domains-test test accuracy')!.value).toBeGreaterThan(0.95);
    expect([...figures.keys()]).toEqual(
      expect.arrayContaining([
        'domains-test test macro-f1',
        'domains-test test log-loss',
        'domains-test test calibration-error',
      ]),
    );
    const [version] = await mesh.versionsOf('undisturbed');
    expect(version).toMatchObject({ version: '1', manifestDigest: job.outputs[0]!.digest, labelCount: 3 });
    weights = await weightsOf(job);

    // The same rows and seed again: another version with the same weights, offered as candidate.
    const again = await mesh.end(
      await mesh.submit('train', { expert: 'undisturbed', dataset: data, testDataset: test }),
    );
    expect(await weightsOf(again)).toBe(weights);
    expect(again.result).toMatchObject({ version: '2' });
    const { resource } = await mesh.registry.getResource({ key: 'expert/undisturbed' });
    expect(resource?.value.value).toMatchObject({ stable: '1', candidate: '2' });
    await end(worker);
  });

  it('answers a data set with a version; the predictions are what a comparison of versions takes', async () => {
    const worker = await mesh.worker();
    const job = await mesh.end(
      await mesh.submit('evaluate', { expert: 'undisturbed', version: '1', dataset: test }),
    );
    const { evaluation } = await manifestOf((await mesh.versionsOf('undisturbed'))[0]!.manifestDigest);
    // Measured again on the same rows: the figures of the manifest.
    const measured = (job.result as { evaluation: typeof evaluation }).evaluation;
    for (const row of measured)
      expect(row.value).toBeCloseTo(
        evaluation.find(({ split, metric }) => split === row.split && metric === row.metric)!.value,
        5,
      );
    const value = job.outputs.find(({ name }) => name === 'predictions')!.digest;
    const answer = await mesh.releases.compare({
      old: { case: 'oldDigest', value },
      new: { case: 'newDigest', value },
      negativeFlipBudget: 0.05,
    });
    expect(answer.verdict).toBe(releaseV1.Verdict.COMPATIBLE);
    expect(answer.overall).toMatchObject({ n: 120n, negativeFlips: { count: 0n } });
    expect(answer.overall!.newAccuracy!.value).toBeCloseTo(measured[0]!.value, 5);
    await end(worker);
  });

  it('that is killed in the middle of a job is replaced: another finishes it, and there is one version', async () => {
    const first = await mesh.worker();
    const id = await mesh.submit('train', { expert: 'survivor', dataset: data, testDataset: test });
    await mesh.until(id, isEmbedding);
    const [child] = childrenOf(first.pid);
    first.signal('SIGKILL');
    expect(await first.exited).toBe('SIGKILL');
    // Its own process does not outlive it.
    await vi.waitUntil(() => !isAlive(child!), PATIENCE);
    const second = await mesh.worker();
    const job = await mesh.end(id);
    expect(job).toMatchObject({ state: JobState.SUCCEEDED, attempt: 2 });
    expect(await mesh.versionsOf('survivor')).toHaveLength(1);
    expect(await weightsOf(job)).toBe(weights);
    await end(second);
  });

  it('that is asked to go gives its job back with what it has done; the next goes on from there with the same bits', async () => {
    const first = await mesh.worker();
    const id = await mesh.submit('train', { expert: 'handed-over', dataset: data, testDataset: test });
    await mesh.until(id, isEmbedding);
    await end(first);
    const { job: waiting } = await mesh.jobs.get({ id });
    expect(waiting).toMatchObject({ state: JobState.QUEUED, attempt: 0, checkpoint: { name: 'features' } });
    const done = waiting!.progress!.done;
    expect(done).toBeGreaterThan(0n);
    const second = await mesh.worker();
    const started = await mesh.until(
      id,
      ({ state, progress }) => state === JobState.RUNNING && progress?.stage !== 'fetching',
    );
    expect(started.progress!.done).toBeGreaterThan(0n);
    const job = await mesh.end(id);
    expect(job).toMatchObject({ state: JobState.SUCCEEDED, attempt: 1 });
    expect(await weightsOf(job)).toBe(weights);
    expect(await mesh.versionsOf('handed-over')).toHaveLength(1);
    await end(second);
  });

  it('that was paused past its lease drops what it has when it wakes: the other one’s version is the only one', async () => {
    const sleeper = await mesh.worker();
    const id = await mesh.submit('train', { expert: 'contested', dataset: data, testDataset: test });
    await mesh.until(id, isEmbedding);
    sleeper.signal('SIGSTOP');
    const other = await mesh.worker();
    const job = await mesh.end(id);
    expect(job).toMatchObject({ state: JobState.SUCCEEDED, attempt: 2 });
    // Its own process has gone on meanwhile and has a result for it.
    sleeper.signal('SIGCONT');
    await end(other);
    // It claims and ends the next job: by then it has dealt with the old one.
    const next = await mesh.end(await mesh.submit('evaluate', { expert: 'contested', dataset: test }));
    expect(next.state).toBe(JobState.SUCCEEDED);
    const versions = await mesh.versionsOf('contested');
    expect(versions.map(({ manifestDigest }) => manifestDigest)).toEqual([job.outputs[0]!.digest]);
    await end(sleeper);
  });

  it('works on while the updater is replaced, and tells the new one', async () => {
    const worker = await mesh.worker(300_000);
    const id = await mesh.submit('train', { expert: 'patient', dataset: data, testDataset: test });
    await mesh.until(id, isEmbedding);
    await mesh.replaceUpdater();
    const job = await vi.waitFor(
      async () => {
        const found = (await mesh.jobs.get({ id })).job!;
        expect(isEnd(found)).toBe(true);
        return found;
      },
      { timeout: 200_000, interval: 100 },
    );
    expect(job).toMatchObject({ state: JobState.SUCCEEDED, attempt: 1 });
    expect(await weightsOf(job)).toBe(weights);
    expect(await mesh.versionsOf('patient')).toHaveLength(1);
    await end(worker);
  });

  it('ends a job that is cancelled, registers nothing, and takes the next', async () => {
    const worker = await mesh.worker();
    const id = await mesh.submit('train', { expert: 'unwanted', dataset: data });
    await mesh.until(id, isEmbedding);
    const [child] = childrenOf(worker.pid);
    await mesh.jobs.cancel({ id });
    expect((await mesh.end(id)).state).toBe(JobState.CANCELLED);
    await vi.waitUntil(() => !isAlive(child!), PATIENCE);
    expect(await mesh.versionsOf('unwanted')).toEqual([]);
    const next = await mesh.end(await mesh.submit('evaluate', { expert: 'undisturbed', dataset: test }));
    expect(next.state).toBe(JobState.SUCCEEDED);
    await end(worker);
  });

  it('whose process dies of a job every time ends that job with its code, and lives on', async () => {
    const worker = await mesh.worker();
    const id = await mesh.submit('train', { expert: 'poison', dataset: data }, 2);
    const killing = setInterval(() => {
      for (const pid of childrenOf(worker.pid)) process.kill(pid, 'SIGKILL');
    }, 50);
    const job = await mesh.end(id).finally(() => {
      clearInterval(killing);
    });
    expect(job).toMatchObject({ state: JobState.FAILED, errorCode: 'EXPERT_CRASHED', attempt: 2 });
    expect(await mesh.versionsOf('poison')).toEqual([]);
    expect(isAlive(worker.pid)).toBe(true);
    await end(worker);
  });

  it.each([
    ['no-header', 'where is my card,lost\n', /no-header@1: line 1 names no column text/],
    ['one-label', 'text,label\na,x\nb,x\n', /one-label@1: every row has the same label/],
    [
      'latin-1',
      Buffer.from('text,label\na,x\ncaf\u00e9,y\n', 'latin1'),
      /latin-1@1: line 3 is not UTF-8; save/,
    ],
    ['odd-column', 'text,label,mood\na,x,good\n', /odd-column@1: line 1 names the unknown column "mood"/],
  ])('refuses bad data before it computes anything: %s', async (name, csv, pattern) => {
    const worker = await mesh.worker();
    const dataset = await mesh.registerData(name, csv);
    const seen: string[] = [];
    const job = await mesh.until(await mesh.submit('train', { expert: name, dataset }), (now) => {
      seen.push(now.progress?.stage ?? '');
      return isEnd(now);
    });
    expect(job).toMatchObject({ state: JobState.FAILED, errorCode: 'DATASET_INVALID', attempt: 1 });
    expect(job.errorMessage).toMatch(pattern);
    expect(seen).not.toContain('embedding');
    await end(worker);
  });
});

it('evaluates a composed expert as it is served: its own router chooses the head for every row', async () => {
  const worker = await mesh.worker();
  const composer = await mesh.composer();
  const parents = ['snips7', 'overruling'];
  const test = [];
  for (const parent of parents) {
    await mesh.registerExpert(parent);
    const sample = (part: string) =>
      readCsv(
        readFileSync(new URL(`../../../zoo/data/sample/${parent}.${part}.csv`, import.meta.url)),
        parent,
      );
    const [train, held] = [sample('train').slice(0, 60), sample('test').slice(0, 40)];
    await mesh.registerData(parent, writeCsv(train));
    await mesh.registerData(`${parent}-test`, writeCsv(held), 'test');
    test.push(...held);
  }
  await composer.compose('pair', parents);
  const dataset = await mesh.registerData('pair-test', writeCsv(test), 'test');
  const job = await mesh.end(await mesh.submit('evaluate', { expert: 'pair', dataset }));
  expect(job).toMatchObject({ state: JobState.SUCCEEDED, result: { labels: 9, rows: { test: 80 } } });
  const figures = new Map(
    (job.result as { evaluation: { metric: string; value: number }[] }).evaluation.map((row) => [
      row.metric,
      row.value,
    ]),
  );
  expect(figures.get('accuracy')).toBeGreaterThan(0.85);
  // A row that went to the wrong parent costs ln(9) + 1 nats, not infinity.
  expect(figures.get('log-loss')).toBeLessThan(Math.log(9) + 1);
  await composer.stop();
  await end(worker);
});

it('refuses to evaluate on labels that the version does not have, without quoting them', async () => {
  const worker = await mesh.worker();
  const dataset = await mesh.registerData(
    'swapped',
    'label,text\nsnips7,banking77\nSECRET prompt,snips7\n',
    'test',
  );
  const job = await mesh.end(await mesh.submit('evaluate', { expert: 'undisturbed', dataset }));
  expect(job).toMatchObject({ state: JobState.FAILED, errorCode: 'DATASET_INVALID', attempt: 1 });
  expect(job.errorMessage).toMatch(/swapped@1: the label on line 3 is none of the 3 that undisturbed@1 has/);
  expect(job.errorMessage).not.toContain('SECRET');
  await end(worker);
});

describe('what cannot work is refused when it is submitted', () => {
  it.each([
    [{ expert: 'x', dataset: 'nobody@1' }, 'RESOURCE_NOT_FOUND', /No data set nobody@1/],
    [{ expert: 'x', dataset: 'domains-test@1' }, 'REQUEST_INVALID', /test split domains-test@1/],
    [{ expert: 'minilm-l6', dataset: 'domains@1' }, 'REQUEST_INVALID', /serves feature-extraction/],
    [
      { expert: 'x', dataset: 'domains@1', base: 'undisturbed@1' },
      'REQUEST_INVALID',
      /a base serves feature-extraction/,
    ],
    [{ expert: 'x', dataset: 'domains@1', base: 'nobody@1' }, 'EXPERT_NOT_FOUND', /No version nobody@1/],
    [{ expert: 'x', dataset: 'domains@1', testDataset: 'domains@1' }, 'REQUEST_INVALID', /same file/],
    [{ expert: 'x', dataset: 'domains@1', seed: 0.5 }, 'REQUEST_INVALID', /parameters\.seed/],
  ])('%j', async (parameters, code, pattern) => {
    const fault = await mesh
      .submit('train', parameters as Record<string, string>)
      .catch((error: unknown) => error);
    expect(fault).toMatchObject({ code });
    expect((fault as Error).message).toMatch(pattern);
  });

  it('a test set under another name is still a test set', async () => {
    const disguised = await mesh.registerData('disguised', writeCsv(rows(SETS, 'test', 40)));
    await expect(mesh.submit('train', { expert: 'x', dataset: disguised })).rejects.toMatchObject({
      message: expect.stringMatching(/test split domains-test@1/) as string,
    });
  });
});
