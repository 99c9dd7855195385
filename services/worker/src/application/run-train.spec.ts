import { create } from '@bufbuild/protobuf';
import {
  digestOf,
  FolderArtifactStore,
  importBundle,
  MAX_MANIFEST_BYTES,
  parseDigest,
  parseExpertManifest,
  readArtifact,
  writeBundle,
  type ExpertManifest,
} from '@thalamus/bundle';
import { jobV1, registryV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ClaimedJob } from './claimed-job.js';
import { JobInputs } from './job-inputs.js';
import type { StartWork } from './job-process.port.js';
import type { Jobs } from './jobs.port.js';
import type { Registry } from './registry.port.js';
import { RunTrain } from './run-train.js';

/** What happened, in order: checkpoints and registrations. */
let events: string[];
let folder: string;
let store: FolderArtifactStore;
/** Registered versions by number. */
let taken: Map<string, string>;
let heartbeatFault: Error | undefined;
/** Calls that meet an updater which is being replaced, before it answers again. */
let absences: { heartbeat: number; register: number };

/** Fails once less each time. */
function meet(absence: 'heartbeat' | 'register'): void {
  if (absences[absence] === 0) return;
  absences[absence] -= 1;
  events.push(`no ${absence}`);
  throw new ThalamusError('UPSTREAM_UNAVAILABLE', 'being replaced');
}

const registry: Registry = {
  dataset: () =>
    Promise.resolve(create(registryV1.DatasetSchema, { name: 'd', licence: 'CC0-1.0', split: 'train' })),
  expert: () =>
    Promise.resolve(
      taken.size === 0
        ? undefined
        : create(registryV1.ExpertSchema, { name: 'e', stable: '1', description: 'Known.' }),
    ),
  nextVersion: () => Promise.resolve(String(taken.size + 1)),
  register: async (_expert, version, digest) => {
    await Promise.resolve();
    const known = taken.get(version);
    if (known !== undefined && known !== digest)
      throw new ThalamusError('REVISION_CONFLICT', `version ${version} is taken`);
    taken.set(version, digest);
    // It was registered, and the answer is lost.
    meet('register');
    events.push(`register ${version}`);
  },
  setChannel: (_expert, channel, version) => {
    events.push(`${channel} ${version}`);
    return Promise.resolve();
  },
};

const jobs = {
  heartbeat: async (request: Parameters<Jobs['heartbeat']>[0]) => {
    await Promise.resolve();
    if (heartbeatFault) throw heartbeatFault;
    meet('heartbeat');
    events.push(request.checkpoint ? `checkpoint ${request.checkpoint.name ?? ''}` : 'confirm');
    return create(jobV1.HeartbeatResponseSchema);
  },
} as Jobs;

const manifest = (version: string): Omit<ExpertManifest, 'files'> => ({
  schemaVersion: 1,
  name: 'e',
  version,
  kind: 'probe',
  task: 'text-classification',
  description: 'An expert.',
  base: { name: 'base', digest: digestOf('base') },
  labels: ['a', 'b'],
  maxTokens: 8,
  parameterCount: 4,
  flopsPerToken: 1,
  precision: 'float16',
  licence: 'CC0-1.0',
  trainingData: [{ name: 'd', licence: 'CC0-1.0', origin: 'test', rows: 10 }],
  evaluation: [],
  trust: { signed: false, scanned: true, backdoorTested: false },
  releaseDate: '2026-01-01',
});
const write = (target: string, version: string) =>
  writeBundle(target, manifest(version), { 'head.safetensors': new Uint8Array([1, 2, 3]) });

let started: number;
const startWork: StartWork = (work) => {
  started += 1;
  if (work.kind !== 'train') throw new Error('not asked for');
  return {
    result: write(work.bundleFolder, work.facts.version).then(() => ({
      labels: 2,
      rows: {},
      evaluation: [],
    })),
    requestCheckpoint: () => undefined,
    kill: () => undefined,
  };
};

beforeEach(() => {
  events = [];
  taken = new Map();
  heartbeatFault = undefined;
  absences = { heartbeat: 0, register: 0 };
  started = 0;
  folder = mkdtempSync(join(tmpdir(), 'thalamus-run-train-'));
  store = new FolderArtifactStore(join(folder, 'artifacts'));
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

async function run(fields: { channel?: string; checkpoint?: { name: string; digest: string } } = {}) {
  const base = await importBundleAs('base-bundle', '1');
  const data = await store.put(new TextEncoder().encode('text,label\n'));
  const job = create(jobV1.JobSchema, {
    id: 'j',
    kind: 'train',
    parameters: { expert: 'e', dataset: 'd@1', channel: fields.channel ?? 'candidate' },
    inputs: [
      { name: 'data', digest: data.digest },
      { name: 'base', digest: base },
    ],
    ...(fields.checkpoint ? { checkpoint: fields.checkpoint } : {}),
  });
  const inputs = new JobInputs(store, folder);
  const runner = new RunTrain(inputs, store, registry, { startWork, store, checkpointMs: 60_000 }, 1);
  return runner.run(new ClaimedJob(jobs, job, 3n, 10_000));
}

async function importBundleAs(name: string, version: string) {
  await write(join(folder, name), version);
  return (await importBundle(join(folder, name), store)).digest;
}

describe('a training job', () => {
  it('fixes the bundle under its token before it registers it, and then points the channel', async () => {
    taken.set('1', 'other');
    const { outputs, result } = await run();
    expect(events).toEqual(['checkpoint bundle', 'register 2', 'confirm', 'candidate 2']);
    expect(result).toMatchObject({ expert: 'e', version: '2', labels: 2, trainingRows: 10 });
    expect(taken.get('2')).toBe(outputs[0]?.digest);
  });

  it('leaves the channels of a new expert alone, and all of them when asked to', async () => {
    await run();
    expect(events).toEqual(['checkpoint bundle', 'register 1']);
    events = [];
    await run({ channel: 'none' });
    expect(events).toEqual(['checkpoint bundle', 'register 2']);
  });

  it('that was interrupted after its checkpoint registers that bundle, without computing anything', async () => {
    const digest = await importBundleAs('made', '1');
    const outcome = await run({ checkpoint: { name: 'bundle', digest } });
    expect(started).toBe(0);
    expect(events).toEqual(['register 1']);
    expect(outcome.outputs).toEqual([{ name: 'bundle', digest }]);
    // Also when it had been registered already: the same once more changes nothing.
    await run({ checkpoint: { name: 'bundle', digest } });
    expect([...taken]).toEqual([['1', digest]]);
  });

  it('takes the next number when another job took its own, and fixes that choice first', async () => {
    const digest = await importBundleAs('made', '1');
    taken.set('1', 'somebody else’s');
    const { outputs } = await run({ checkpoint: { name: 'bundle', digest }, channel: 'none' });
    expect(events).toEqual(['checkpoint bundle', 'register 2']);
    const renumbered = parseDigest(outputs[0]?.digest ?? '');
    const read = parseExpertManifest(await readArtifact(store, renumbered, MAX_MANIFEST_BYTES));
    expect(read).toMatchObject({ ...manifest('2') });
  });

  it('outlasts an updater that is being replaced, with one computation and one version', async () => {
    absences = { heartbeat: 2, register: 1 };
    await run({ channel: 'none' });
    expect(events).toEqual([
      ...['no heartbeat', 'no heartbeat', 'checkpoint bundle'],
      ...['no register', 'register 1'],
    ]);
    expect(started).toBe(1);
    expect(taken.size).toBe(1);
  });

  it('registers nothing once its claim is lost', async () => {
    heartbeatFault = new ThalamusError('JOB_CONFLICT', 'stale');
    await expect(run()).rejects.toMatchObject({ code: 'JOB_CONFLICT' });
    expect(taken.size).toBe(0);
  });
});
