import { MAX_MANIFEST_BYTES, parseDigest, parseExpertManifest, readArtifact } from '@thalamus/bundle';
import { jobV1 } from '@thalamus/contracts';
import { createRandom } from '@thalamus/tensor';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { childrenOf, MeshProcesses, type ServiceProcess } from './mesh-processes.js';

const { JobState } = jobV1;
// Several processes on a machine that may be busy: bounds against hanging, not promises.
vi.setConfig({ testTimeout: 240_000 });
const mesh = new MeshProcesses();
let worker: ServiceProcess;

/** Texts in which each word decides the next one, as JSONL. */
function texts(chains: readonly string[], count: number, seed: number): string {
  const random = createRandom(seed);
  const chain = () => chains[random.below(chains.length)]!;
  // The last word makes it a text of its own: what is in the test set is not trained on.
  return Array.from({ length: count }, (_, at) =>
    JSON.stringify({ text: `${chain()} ${chain()} ${seed * 1_000 + at}`, doc: `${seed}-${at}` }),
  ).join('\n');
}

const GENERAL = ['the card lost my money', 'please block it hello world', 'law court the law court'];
const OWN = ['money my lost card the'];
const WANTED = {
  task: 'fill-mask',
  method: 'lora',
  ...{ epochs: 6, rate: 1e-2, headRate: 1e-2, rowsPerBatch: 8, rank: 4, alpha: 4, patience: 1_000 },
};
const train = (expert: string, dataset: string, more: Record<string, string | number> = {}) =>
  mesh.submit('train', {
    expert,
    dataset,
    testDataset: `${dataset.split('@')[0]!}-test@1`,
    ...WANTED,
    ...more,
  });

async function madeBy(job: jobV1.Job) {
  expect(job).toMatchObject({ state: JobState.SUCCEEDED, errorMessage: '' });
  const bytes = await readArtifact(mesh.artifacts, parseDigest(job.outputs[0]!.digest), MAX_MANIFEST_BYTES);
  return parseExpertManifest(bytes);
}

async function lossOf(expert: string, dataset: string): Promise<number> {
  const job = await mesh.end(await mesh.submit('evaluate', { expert, dataset }));
  expect(job).toMatchObject({ state: JobState.SUCCEEDED });
  const [row] = (job.result as { evaluation: { metric: string; value: number; n: number }[] }).evaluation;
  expect(row).toMatchObject({ metric: 'maskedLogLoss' });
  const written = new TextDecoder().decode(
    await readArtifact(mesh.artifacts, parseDigest(job.outputs[0]!.digest), 1e6),
  );
  const windows = written
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { nats: number; pieces: number });
  const total = (of: 'nats' | 'pieces') => windows.reduce((sum, window) => sum + window[of], 0);
  expect(total('pieces')).toBe(row!.n);
  expect(total('nats') / total('pieces')).toBeCloseTo(row!.value, 9);
  return row!.value;
}

beforeAll(async () => {
  await mesh.start();
  await mesh.registerPicoBase('pico');
  await mesh.registerData('general', texts(GENERAL, 120, 1));
  await mesh.registerData('general-test', texts(GENERAL, 30, 2), 'test');
  await mesh.registerData('own', texts(OWN, 60, 3));
  await mesh.registerData('own-test', texts(OWN, 20, 4), 'test');
  await mesh.registerData('labelled', 'text,label\na,b\nc,d\n');
  worker = await mesh.worker(2_000, { THALAMUS_CHECKPOINT_MS: '100' });
}, 60_000);

afterAll(() => mesh.stop());

describe('a worker that trains masked language models', () => {
  it('registers one, and another that begins with it and is better on its own texts', async () => {
    const general = await madeBy(await mesh.end(await train('words', 'general@1')));
    expect(general).toMatchObject({
      kind: 'lowrank',
      task: 'fill-mask',
      description: 'Fills masked words of general.',
    });
    const [known] = await mesh.versionsOf('words');
    const own = await madeBy(await mesh.end(await train('own-words', 'own@1', { startFrom: 'words@1' })));
    expect(JSON.stringify(own.lineage)).toContain(known!.manifestDigest);
    // What the manifests say is measured again from the stored bundles.
    const stated = general.evaluation.find(({ split }) => split === 'test')!;
    expect(await lossOf('words', 'general-test@1')).toBeCloseTo(stated.value, 5);
    expect(await lossOf('own-words', 'own-test@1')).toBeLessThan(await lossOf('words', 'own-test@1'));
  });

  it('whose process is killed goes on from its checkpoint, to the same bits and one version', async () => {
    const more = { epochs: 40 };
    const calm = await madeBy(await mesh.end(await train('calm', 'general@1', more)));
    const id = await train('phoenix', 'general@1', more);
    await mesh.until(
      id,
      ({ state, checkpoint, progress }) =>
        state === JobState.RUNNING && checkpoint?.name === 'training' && progress?.stage === 'training',
    );
    for (const child of childrenOf(worker.pid)) process.kill(child, 'SIGKILL');
    const job = await mesh.end(id);
    expect(job.attempt).toBe(2);
    const weights = ({ files }: typeof calm) => files.filter(({ path }) => path.endsWith('.safetensors'));
    expect(weights(await madeBy(job))).toEqual(weights(calm));
    expect(await mesh.versionsOf('phoenix')).toHaveLength(1);
  });

  it('is refused before it is stored when it cannot work, naming the field', async () => {
    const refused = (parameters: Record<string, string | number>) =>
      expect(mesh.submit('train', { expert: 'x', dataset: 'general@1', ...parameters })).rejects;
    await refused({ task: 'fill-mask' }).toThrow(/parameters\.method must be lora for fill-mask/);
    await refused({ ...WANTED, startFrom: 'nobody@1' }).toThrow(/nobody@1/);
    await refused({ ...WANTED, startFrom: 'pico@1' }).toThrow(
      /parameters\.startFrom: pico@1 is full for feature-extraction/,
    );
    await refused({ ...WANTED, expert: 'pico' }).toThrow(/pico serves feature-extraction/);
  });

  it('ends with the cure for a file that holds no texts', async () => {
    const job = await mesh.end(await mesh.submit('train', { expert: 'y', dataset: 'labelled@1', ...WANTED }));
    expect(job).toMatchObject({ state: JobState.FAILED, errorCode: 'DATASET_INVALID', attempt: 1 });
    expect(job.errorMessage).toContain('labelled@1: line 1 is not JSON');
  });
});
