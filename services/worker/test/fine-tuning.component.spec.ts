import {
  MAX_MANIFEST_BYTES,
  parseDigest,
  parseExpertManifest,
  readArtifact,
  readSafetensors,
} from '@thalamus/bundle';
import { jobV1, METRICS } from '@thalamus/contracts';
import { prometheusName } from '@thalamus/telemetry';
import { createRandom } from '@thalamus/tensor';
import { freePorts } from '@thalamus/testing';
import { writeCsv } from '@thalamus/training';
import { mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { childrenOf, isAlive, isEnd, MeshProcesses, type ServiceProcess } from './mesh-processes.js';

const { JobState } = jobV1;
// Several processes on a machine that may be busy: bounds against hanging, not promises.
vi.setConfig({ testTimeout: 240_000 });
const PATIENCE = { timeout: 20_000, interval: 20 };
const OFTEN = { THALAMUS_CHECKPOINT_MS: '150' };
const mesh = new MeshProcesses();

/** Two classes that only the order of words tells apart: a head on mean vectors is not enough. */
function rows(count: number, seed: number) {
  const random = createRandom(seed);
  const fillers = ['the', 'my', 'please', 'it', 'hello', 'world', 'money', 'block'];
  const filler = () => fillers[random.below(fillers.length)]!;
  return Array.from({ length: count }, (_, index) => {
    const [first, second] = random.next() < 0.5 ? ['card', 'law'] : ['law', 'card'];
    const text = [filler(), first, filler(), second, filler(), String(seed * 1_000 + index)].join(' ');
    return { text, label: `${first}-first` };
  });
}

const LORA = {
  method: 'lora',
  keepMethod: true,
  epochs: 120,
  patience: 1_000,
  rate: 5e-3,
  headRate: 2e-2,
  rowsPerBatch: 8,
  rank: 4,
  alpha: 4,
  channel: 'none',
};
const train = (expert: string, more: Record<string, string | number | boolean> = {}) =>
  mesh.submit('train', { expert, dataset: 'order@1', testDataset: 'order-test@1', ...LORA, ...more });

const isTraining = ({ state, progress }: jobV1.Job) =>
  state === JobState.RUNNING &&
  progress?.stage === 'training' &&
  progress.done > 0n &&
  progress.done < progress.total;
const hasCheckpoint = (job: jobV1.Job) => isTraining(job) && job.checkpoint?.name === 'training';
/** Far enough that a run which began anew would be seen behind this point. */
const isLate = (job: jobV1.Job) => isTraining(job) && 3n * job.progress!.done > job.progress!.total;

async function manifestOf(digest: string) {
  return parseExpertManifest(await readArtifact(mesh.artifacts, parseDigest(digest), MAX_MANIFEST_BYTES));
}

/** What a job made, without what two jobs cannot share: the curve has the name in it. */
async function madeBy(job: jobV1.Job) {
  const manifest = await manifestOf(job.outputs[0]!.digest);
  const files = manifest.files.filter(({ path }) => path !== 'loss-curve.svg');
  return { ...manifest, name: '', version: '', files };
}

const workers: ServiceProcess[] = [];

async function startWorker(...given: Parameters<MeshProcesses['worker']>): Promise<ServiceProcess> {
  const worker = await mesh.worker(...given);
  workers.push(worker);
  return worker;
}

async function end(worker: ServiceProcess) {
  worker.signal('SIGTERM');
  expect(await worker.exited).toBe(0);
}

/** What the training gives when nothing disturbs it. */
let undisturbed: Awaited<ReturnType<typeof madeBy>>;

async function expectTheSame(job: jobV1.Job, expert: string, attempt: number) {
  expect(job).toMatchObject({ state: JobState.SUCCEEDED, attempt });
  expect(await madeBy(job)).toEqual(undisturbed);
  const versions = await mesh.versionsOf(expert);
  expect(versions.map(({ manifestDigest }) => manifestDigest)).toEqual([job.outputs[0]!.digest]);
}

/** Steps that the training checkpoint of a job holds, or that were told last where these are fewer. */
async function keptSteps(id: string): Promise<number> {
  const { job } = await mesh.jobs.get({ id });
  expect(job!.checkpoint).toMatchObject({ name: 'training' });
  const bytes = await readArtifact(mesh.artifacts, parseDigest(job!.checkpoint!.digest), 100e6);
  const { step } = JSON.parse(readSafetensors(bytes).metadata['facts']!) as { readonly step: number };
  return Math.min(step, Number(job!.progress!.done));
}

/** Series of a worker's training by name in Prometheus, with the method that it is split by; histograms by their count. */
async function trainingSeries(opsPort: number): Promise<Map<string, number>> {
  const text = await (await fetch(`http://127.0.0.1:${opsPort}/metrics`)).text();
  const lines = text.matchAll(
    /^(thalamus_training_\w+)\{[^}]*thalamus_training_method="lora"[^}]*\} (\S+)$/gm,
  );
  return new Map([...lines].map(([, name, value]) => [name!, Number(value)]));
}

const seriesOf = ({ name, unit, kind }: (typeof METRICS)[keyof typeof METRICS]) =>
  prometheusName({ name, unit, isCounter: kind === 'counter' }) + (kind === 'histogram' ? '_count' : '');

/** Steps that were told, in order, until the job ended; the first may be what an earlier attempt told last. */
async function stepsOf(id: string): Promise<{ job: jobV1.Job; steps: number[] }> {
  const steps: number[] = [];
  const job = await mesh.until(id, (now) => {
    if (isTraining(now)) steps.push(Number(now.progress!.done));
    return isEnd(now);
  });
  return { job, steps };
}

beforeAll(async () => {
  await mesh.start();
  await mesh.registerPicoBase('pico');
  await mesh.registerData('order', writeCsv(rows(150, 1)));
  await mesh.registerData('order-test', writeCsv(rows(60, 2)), 'test');
}, 60_000);

afterAll(() => mesh.stop());

// A worker of a test that failed would take the jobs of the next.
afterEach(async () => {
  for (const worker of workers.splice(0)) {
    worker.signal('SIGKILL');
    await worker.exited;
  }
});

describe('a worker that fine-tunes', () => {
  it('registers a low-rank expert with its log and curve, and tells stage, step, loss and pace meanwhile', async () => {
    const [opsPort = 0] = await freePorts(1);
    const worker = await startWorker(2_000, { ...OFTEN, THALAMUS_OPS_PORT: String(opsPort) });
    const id = await train('calm');
    const { progress } = await mesh.until(id, isTraining);
    // Two classes: at the start about ln 2 nats, and never far above.
    expect(progress!.loss).toBeGreaterThan(0);
    expect(progress!.loss).toBeLessThan(3);
    const { trainingTokens, trainingStepDuration, trainingValidationLoss, trainingCheckpointAge } = METRICS;
    const counted = [trainingTokens, trainingStepDuration].map(seriesOf);
    const gauges = [trainingValidationLoss, trainingCheckpointAge].map(seriesOf);
    await expect
      .poll(async () => [...(await trainingSeries(opsPort)).keys()], PATIENCE)
      .toEqual(expect.arrayContaining([...counted, ...gauges]));
    const job = await mesh.end(id);
    expect(job).toMatchObject({ state: JobState.SUCCEEDED, attempt: 1 });
    expect(job.result).toMatchObject({ expert: 'calm', version: '1', kind: 'lowrank', labels: 2 });
    expect((job.result as { recipe: string }).recipe).toMatch(/^lora: AdamW, 120 epochs, rate 0\.005/);
    const manifest = await manifestOf(job.outputs[0]!.digest);
    expect(manifest.files.map(({ path }) => path).sort()).toEqual(
      ['adapter.safetensors', 'adapter_config.json', 'head.safetensors'].concat([
        'loss-curve.svg',
        'training.jsonl',
      ]),
    );
    undisturbed = await madeBy(job);
    // Nothing is lost any more when the worker dies; what was counted stays.
    const after = await trainingSeries(opsPort);
    expect(after.get(seriesOf(trainingCheckpointAge))).toBe(0);
    const [tokens, steps] = counted.map((name) => after.get(name));
    // All but the first step are measured: 120 epochs of at most 19 batches, of texts of a few tokens.
    expect(steps).toBeGreaterThan(120);
    expect(tokens).toBeGreaterThan(8 * steps!);
    await end(worker);
  });

  it.each(['calm', 'all-weights', 'extracted'])(
    'evaluates what it made by any method: %s',
    async (expert) => {
      const worker = await startWorker();
      if (expert !== 'calm')
        await mesh.end(
          await mesh.submit('train', {
            ...{ expert, dataset: 'order@1', testDataset: 'order-test@1', keepMethod: true },
            method: expert === 'extracted' ? 'svd' : 'full',
            ...{ epochs: 3, rate: 2e-3, rowsPerBatch: 8 },
          }),
        );
      const job = await mesh.end(
        await mesh.submit('evaluate', { expert, version: '1', dataset: 'order-test@1' }),
      );
      expect(job).toMatchObject({ state: JobState.SUCCEEDED, result: { labels: 2, rows: { test: 60 } } });
      const { kind, evaluation } = await manifestOf((await mesh.versionsOf(expert))[0]!.manifestDigest);
      expect(kind).toBe(expert === 'all-weights' ? 'full' : 'lowrank');
      // Measured again, from the stored bundle: the figures of the manifest.
      const measured = (job.result as { evaluation: typeof evaluation }).evaluation;
      expect(measured).toHaveLength(4);
      for (const row of measured)
        expect(row.value).toBeCloseTo(
          evaluation.find(({ split, metric }) => split === row.split && metric === row.metric)!.value,
          4,
        );
      await end(worker);
    },
  );

  it('that is killed in the middle is replaced: another goes on from its checkpoint, to the same bits and one version', async () => {
    const first = await startWorker(2_000, OFTEN);
    const id = await train('survivor');
    await mesh.until(id, (job) => hasCheckpoint(job) && isLate(job));
    const [child] = childrenOf(first.pid);
    first.signal('SIGKILL');
    expect(await first.exited).toBe('SIGKILL');
    await vi.waitUntil(() => !isAlive(child!), PATIENCE);
    const kept = await keptSteps(id);
    const second = await startWorker();
    const { job, steps } = await stepsOf(id);
    // Embeddings, probe and the steps that were kept are not made again.
    expect(Math.min(...steps)).toBeGreaterThanOrEqual(kept);
    await expectTheSame(job, 'survivor', 2);
    await end(second);
  });

  it('whose process is killed in the middle goes on from the checkpoint, to the same bits', async () => {
    const worker = await startWorker(2_000, OFTEN);
    const id = await train('phoenix');
    await mesh.until(id, hasCheckpoint);
    for (const child of childrenOf(worker.pid)) process.kill(child, 'SIGKILL');
    await mesh.until(id, ({ state }) => state === JobState.QUEUED);
    expect((await mesh.jobs.get({ id })).job).toMatchObject({ errorCode: 'EXPERT_CRASHED' });
    const { job } = await stepsOf(id);
    await expectTheSame(job, 'phoenix', 2);
    await end(worker);
  });

  it('that is asked to go gives its job back between two steps; the next goes on from there', async () => {
    const first = await startWorker();
    const id = await train('handed-over');
    await mesh.until(id, isLate);
    await end(first);
    const { job: waiting } = await mesh.jobs.get({ id });
    expect(waiting).toMatchObject({ state: JobState.QUEUED, attempt: 0, checkpoint: { name: 'training' } });
    const kept = await keptSteps(id);
    const second = await startWorker();
    const { job, steps } = await stepsOf(id);
    expect(Math.min(...steps)).toBeGreaterThanOrEqual(kept);
    await expectTheSame(job, 'handed-over', 1);
    await end(second);
  });

  it('that was paused past its lease drops what it has when it wakes', async () => {
    const sleeper = await startWorker(2_000, OFTEN);
    const id = await train('contested');
    await mesh.until(id, hasCheckpoint);
    sleeper.signal('SIGSTOP');
    const other = await startWorker();
    const job = await mesh.end(id);
    sleeper.signal('SIGCONT');
    await end(other);
    // It claims and ends the next job: by then it has dealt with the old one.
    const next = await mesh.end(
      await mesh.submit('evaluate', { expert: 'contested', version: '1', dataset: 'order-test@1' }),
    );
    expect(next.state).toBe(JobState.SUCCEEDED);
    await expectTheSame(job, 'contested', 2);
    await end(sleeper);
  });

  it('works on while the updater is replaced', async () => {
    const worker = await startWorker(300_000, OFTEN);
    const id = await train('patient');
    await mesh.until(id, isTraining);
    await mesh.replaceUpdater();
    const job = await vi.waitFor(
      async () => {
        const found = (await mesh.jobs.get({ id })).job!;
        expect(isEnd(found)).toBe(true);
        return found;
      },
      { timeout: 200_000, interval: 100 },
    );
    await expectTheSame(job, 'patient', 1);
    await end(worker);
  });

  it('ends a job that is cancelled and registers nothing', async () => {
    const worker = await startWorker();
    const id = await train('unwanted');
    await mesh.until(id, isTraining);
    const [child] = childrenOf(worker.pid);
    await mesh.jobs.cancel({ id });
    expect((await mesh.end(id)).state).toBe(JobState.CANCELLED);
    await vi.waitUntil(() => !isAlive(child!), PATIENCE);
    expect(await mesh.versionsOf('unwanted')).toEqual([]);
    await end(worker);
  });

  it('whose disk is full says so, leaves nothing behind, and is tried again', async () => {
    const folder = mesh.workerFolder();
    const id = await train('roomy');
    // Where the first attempt writes its checkpoint: a device that really has no space left.
    const place = join(folder, 'jobs', `${id}-1`);
    mkdirSync(place, { recursive: true });
    symlinkSync('/dev/full', join(place, 'training.safetensors.writing'));
    const worker = await startWorker(2_000, OFTEN);
    const waiting = await mesh.until(id, ({ attempt, state }) => attempt === 1 && state === JobState.QUEUED);
    expect(waiting).toMatchObject({ errorCode: 'ARTIFACT_STORE_FULL' });
    expect(waiting.errorMessage).toMatch(
      /The disk is full: .*training\.safetensors needs \d+ MB\. Free space/,
    );
    expect(readdirSync(join(folder, 'jobs'))).not.toContain(`${id}-1`);
    await expectTheSame(await mesh.end(id), 'roomy', 2);
    await end(worker);
  });

  it('whose process dies of a job every time ends that job with its code, and lives on', async () => {
    const worker = await startWorker();
    const id = await mesh.submit('train', { expert: 'poison', dataset: 'order@1', ...LORA }, 2);
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
});

it.each([
  [{ method: 'lora', rank: 0 }, /parameters\.rank/],
  [{ method: 'lora', epochs: 1.5 }, /parameters\.epochs/],
  [{ method: 'lora', schedule: 'steep' }, /parameters\.schedule must be one of constant, linear/],
  [{ method: 'dora' }, /parameters\.method must be one of probe, lora, full, svd/],
  [{ method: 'full', rank: 4 }, /parameters\.rank has no effect on the method full/],
  [{ rate: 0.1 }, /parameters\.rate has no effect on the method probe/],
  [{ keepMethod: true }, /parameters\.keepMethod has no effect on the method probe/],
  [{ method: 'lora', momentum: 0.9 }, /parameters\.momentum is unknown; known are .*epochs, rate/],
])('refuses %j when it is submitted', async (parameters, pattern) => {
  const fault = await mesh
    .submit('train', { expert: 'x', dataset: 'order@1', ...parameters })
    .catch((error: unknown) => error);
  expect(fault).toMatchObject({ code: 'REQUEST_INVALID' });
  expect((fault as Error).message).toMatch(pattern);
});
