import { releaseV1 } from '@thalamus/contracts';
import { timestampMs } from '@bufbuild/protobuf/wkt';
import { createClient, type RpcClient } from '@thalamus/grpc';
import { waitUntil } from '@thalamus/testing';
import { readCsv } from '@thalamus/training';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { emptyBroker, kafkaBrokers } from '../support/bus.js';
import { ROOT, temporaryFolder } from '../support/paths.js';
import { startServices, type ServiceMesh } from '../support/service-mesh.js';
import { makeVersion, surer, swapped, type Update } from './make-version.js';
import { Traffic } from './traffic.js';

const EXPERT = 'snips7';
const { ReleaseState } = releaseV1;
/** Of one release, on a machine that is busy. */
const PATIENCE = { timeoutMs: 240_000, everyMs: 100 };

let mesh: ServiceMesh;
let releases: RpcClient<typeof releaseV1.ReleaseService>;
let traffic: Traffic;
let shipped: string;
const folder = temporaryFolder('versions');

beforeAll(async () => {
  const brokers = kafkaBrokers();
  if (brokers === undefined) throw new Error('This suite needs a broker: run it with npm run e2e:release.');
  await emptyBroker(brokers);
  mesh = await startServices(brokers);
  shipped = await stable();
  connect();
  traffic = new Traffic(mesh.http, mesh.key, EXPERT, 20);
  traffic.start(4);
});
afterAll(async () => {
  await traffic.stop();
  releases.close();
  await mesh.stop();
});

function connect(): void {
  releases = createClient(releaseV1.ReleaseService, {
    address: mesh.addressOf('updater'),
    defaultDeadlineMs: 30_000,
  });
}

async function stable(): Promise<string> {
  return (await mesh.json<{ stable: string }>(['experts', 'show', EXPERT])).stable;
}

/** A version made by an update, registered. */
async function register(version: string, update: Update): Promise<string> {
  const place = join(folder, version);
  await makeVersion(EXPERT, version, update, place);
  await mesh.json(['experts', 'add', place]);
  return version;
}

async function start(
  toVersion: string,
  more: Omit<Partial<releaseV1.StartRequest>, '$typeName'> = {},
): Promise<string> {
  const { release } = await releases.start({
    expert: EXPERT,
    toVersion,
    steps: [0.3, 1],
    minimumSamples: 40,
    stepSeconds: 1,
    mirrorShare: 1,
    negativeFlipBudget: 0.05,
    // Another process takes turns with many on a small machine: latency is judged by its own test alone.
    latencyTolerance: 20,
    ...more,
  });
  return release?.id ?? '';
}

async function releaseOf(id: string): Promise<releaseV1.Release> {
  const { release } = await releases.getRelease({ id });
  if (!release) throw new Error(`${id} is no release.`);
  return release;
}

/** Waits until a release stands where it should. */
async function until(id: string, state: releaseV1.ReleaseState): Promise<releaseV1.Release> {
  let seen: releaseV1.Release | undefined;
  await waitUntil(
    `${id} is ${ReleaseState[state]}`,
    async () => {
      seen = await releaseOf(id).catch(() => seen);
      const isOver = seen?.state === ReleaseState.STABLE || seen?.state === ReleaseState.ROLLED_BACK;
      if (isOver && seen?.state !== state)
        throw new Error(`${id} ended otherwise: ${seen?.history.at(-1)?.reason ?? ''}`);
      return seen?.state === state;
    },
    PATIENCE,
  );
  return seen as releaseV1.Release;
}

const statesOf = ({ history }: releaseV1.Release) => history.map(({ state }) => ReleaseState[state]);

describe('a good update', () => {
  it('is mirrored, given to some, then to all, and no request fails', async () => {
    const id = await start(await register('101', surer));
    const done = await until(id, ReleaseState.STABLE);
    expect(statesOf(done)).toEqual(['DRAFT', 'SHADOW', 'CANARY', 'CANARY', 'STABLE']);
    for (const { by, reason, at } of done.history) {
      expect([by, reason]).not.toContain('');
      expect(at).toBeDefined();
    }
    expect(await stable()).toBe('101');
    const canary = traffic.of('101').filter(({ channel }) => channel === 'candidate');
    expect(canary.length).toBeGreaterThan(0);
    const count = traffic.asked.length;
    await waitUntil('more is asked', () => traffic.asked.length > count + 20, PATIENCE);
    expect(new Set(traffic.asked.slice(count + 8).map(({ version }) => version))).toEqual(new Set(['101']));
    expect(traffic.failed).toEqual([]);
  });

  it('is not promoted twice, and no other begins while one is live', async () => {
    await expect(start('101')).rejects.toThrow(/101 is stable already/);
    const id = await start(await register('102', surer), { minimumSamples: 100_000 });
    await expect(start(shipped)).rejects.toThrow(new RegExp(`release.*${id}|${id}.*live`));
    await releases.rollBack({ releaseId: id, reason: 'enough was seen' });
    expect((await until(id, ReleaseState.ROLLED_BACK)).history.at(-1)?.reason).toContain('enough was seen');
    expect(await stable()).toBe('101');
    await expect(releases.rollBack({ releaseId: id, reason: 'again' })).rejects.toThrow();
    await expect(
      releases.promote({ expert: EXPERT, version: '102', releaseId: id, reason: 'late' }),
    ).rejects.toThrow();
  });
});

describe('a bad update', () => {
  it('is caught by mirrored requests before any caller gets it', async () => {
    const id = await start(await register('103', swapped(0, 1)));
    const done = await until(id, ReleaseState.ROLLED_BACK);
    expect(statesOf(done)).toEqual(['DRAFT', 'SHADOW', 'ROLLED_BACK']);
    expect(done.history.at(-1)?.reason).toMatch(/mirror\.(flips|disagreement)/);
    expect(traffic.of('103')).toEqual([]);
    expect(traffic.failed).toEqual([]);
  });

  it('that was not mirrored is caught by what callers say, and leaves within a second of the decision', async () => {
    const id = await start(await register('104', swapped(2, 3)), {
      mirrorShare: 0,
      overrideReason: 'nothing is mirrored here',
      minimumSamples: 100_000,
    });
    const done = await until(id, ReleaseState.ROLLED_BACK);
    expect(done.history.at(-1)?.reason).toMatch(/canary\.quality/);
    const decided = timestampMs(done.history.at(-1)!.at!);
    await waitUntil('more is asked', () => (traffic.asked.at(-1)?.at ?? 0) > decided + 3_000, PATIENCE);
    const got = traffic.of('104');
    expect(got.length).toBeGreaterThan(0);
    expect(Math.max(...got.map(({ at }) => at)) - decided).toBeLessThanOrEqual(1_000);
    expect(traffic.failed).toEqual([]);
    expect(await stable()).toBe('101');
  });
});

describe('an updater that is killed in mid-canary', () => {
  it('goes on where it was, and no request fails meanwhile', async () => {
    const id = await start(await register('105', surer), { minimumSamples: 60, stepSeconds: 4 });
    await until(id, ReleaseState.CANARY);
    process.kill(mesh.pidOf('updater'), 'SIGKILL');
    await mesh.restart('updater');
    const done = await until(id, ReleaseState.STABLE);
    expect(statesOf(done)).toEqual(['DRAFT', 'SHADOW', 'CANARY', 'CANARY', 'STABLE']);
    expect(await stable()).toBe('105');
    expect(traffic.failed).toEqual([]);
  });
});

describe('a bad update that nobody gives feedback on', () => {
  it('is caught by labelled probes alone, before any caller gets it', async () => {
    const file = join(ROOT, `zoo/data/sample/${EXPERT}.test.csv`);
    const probes = join(folder, 'probes.jsonl');
    const rows = readCsv(readFileSync(file), file).map(({ text, label }, at) => ({
      id: `q${at}`,
      text,
      label,
    }));
    writeFileSync(probes, rows.map((row) => JSON.stringify(row)).join('\n'));
    const version = await register('106', swapped(1, 2));
    const { id } = await mesh.json<{ id: string }>([
      ...['release', 'start', EXPERT, version, '--probes', probes, '--mirror', '0'],
      ...['--budget', '0.05', '--samples', '40', '--step-seconds', '1'],
    ]);
    const done = await until(id, ReleaseState.ROLLED_BACK);
    expect(statesOf(done)).toEqual(['DRAFT', 'SHADOW', 'ROLLED_BACK']);
    expect(done.history.at(-1)?.reason).toMatch(/probe\.flips: \d+ of \d+ against/);
    expect(traffic.of(version)).toEqual([]);
    expect(traffic.failed).toEqual([]);
  });
});
