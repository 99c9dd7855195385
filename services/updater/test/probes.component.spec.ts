import { importBundle } from '@thalamus/bundle';
import { bestLabels, inference, releaseV1, textsRequest, TOPICS } from '@thalamus/contracts';
import { decodeEvent, EmbeddedEventBus } from '@thalamus/events';
import { createClient } from '@thalamus/grpc';
import { waitUntil, writePicoBase, writePicoProbe } from '@thalamus/testing';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { HostProcess } from './host-process.js';
import { channelsOf, reached } from './released-expert.js';
import { errorOf, RunningUpdater, temporaryFolder } from './running-updater.js';

const { ReleaseState } = releaseV1;
const LABELS = ['card', 'law', 'food'];
const ITEMS = 60;
/** Stands in every text, and must stand nowhere else. */
const MARK = 'zebrafish';
const FAST = { expert: 'intents', stepSeconds: 1, minimumSamples: 40, steps: [0.5], mirrorShare: 0 };
const PACE = { THALAMUS_PROBE_ROUND_MS: '100', THALAMUS_PROBE_ROUND_ITEMS: '6' };
const PATIENCE = { timeoutMs: 60_000 };
const TEXTS = Array.from(
  { length: ITEMS },
  (_, at) => `${MARK} ${(at * 7919).toString(36)} ${'abc'[at % 3]}`,
);

describe('labelled probes of a release', { timeout: 180_000 }, () => {
  const folder = temporaryFolder();
  let updater: RunningUpdater;
  let host: HostProcess;
  let clients: RunningUpdater['clients'];
  /** Digest of probes whose labels are what version 1 answers. */
  let probesDigest: string;

  const electedUpdater = async () => {
    updater = await RunningUpdater.start(folder.path, PACE);
    ({ clients } = updater);
    await waitUntil(
      'a writer is elected',
      async () => (await clients.registry.getStatus({})).isLeader,
      PATIENCE,
    );
  };
  beforeAll(async () => {
    await electedUpdater();
    const base = await writePicoBase(join(folder.path, 'base'), { name: 'pico-base' });
    await register('base');
    // Version 2 is the same once more, version 3 another one.
    for (const [version, seed] of [
      ['1', 5],
      ['2', 5],
      ['3', 6],
    ] as const) {
      await writePicoProbe(join(folder.path, version), { name: 'intents', version, seed }, LABELS, {
        name: 'pico-base',
        digest: base.digest,
      });
      await register(version);
    }
    host = await HostProcess.start(folder.path);
    const labels = await labelsOf('1');
    probesDigest = await stored(TEXTS.map((text, at) => ({ id: `q${at}`, text, label: labels[at] })));
  }, 120_000);
  afterEach(async () => {
    for (const { id, state } of (await clients.release.listReleases({})).releases)
      if (state !== ReleaseState.ROLLED_BACK)
        await clients.release.rollBack({ releaseId: id, reason: 'over' });
  });
  afterAll(async () => {
    await host.stop();
    await updater.stop();
    folder.remove();
  });

  const register = async (name: string) => {
    const { digest: manifestDigest } = await importBundle(join(folder.path, name), clients.artifacts);
    await clients.registry.registerVersion({ version: { manifestDigest } });
  };
  const stored = async (rows: readonly object[]) =>
    (await clients.artifacts.put(Buffer.from(rows.map((row) => JSON.stringify(row)).join('\n')))).digest;
  const labelsOf = async (version: string) => {
    const client = createClient(inference.GRPCInferenceService, {
      address: host.address,
      defaultDeadlineMs: 10_000,
    });
    try {
      const request = { ...textsRequest(TEXTS, 'labels'), modelName: 'intents', modelVersion: version };
      return await waitUntil(
        `version ${version} answers`,
        async () => bestLabels(await client.modelInfer(request)),
        PATIENCE,
      );
    } finally {
      client.close();
    }
  };
  const start = async (toVersion: string, more = {}) =>
    (await clients.release.start({ ...FAST, toVersion, probesDigest, ...more })).release as releaseV1.Release;
  const found = async (id: string) => (await clients.release.getRelease({ id })).release as releaseV1.Release;
  const probedBy = async (id: string) => Number((await found(id)).live?.probed ?? 0n);
  /** Items of a release as they stand in the log. */
  const answeredItems = async (releaseId: string) => {
    const bus = new EmbeddedEventBus({ file: join(folder.path, 'events.sqlite') });
    await bus.start();
    const items: string[] = [];
    const follower = await bus.follow({
      topic: TOPICS.probeAnswered.name,
      onRecord: (record) => {
        const event = decodeEvent(TOPICS.probeAnswered, record);
        if (event?.releaseId === releaseId) items.push(event.item);
      },
    });
    await follower.caughtUp;
    await bus.close();
    return items;
  };

  it('take a bad version back before any caller gets it, and say so', async () => {
    const release = await start('3');
    const probes = { digest: probesDigest, items: ITEMS };
    expect(release).toMatchObject({ state: ReleaseState.DRAFT, probes });
    expect(release.history[0]?.evidence).toEqual([probesDigest]);
    const back = await reached(clients, release.id, ReleaseState.ROLLED_BACK);
    expect(back.history.map(({ state }) => state)).toEqual([
      ...[ReleaseState.DRAFT, ReleaseState.SHADOW, ReleaseState.ROLLED_BACK],
    ]);
    expect(back.history.at(-1)?.reason).toMatch(/probe\.flips: \d+ of \d+ against/);
    expect(await channelsOf(clients, 'intents')).toEqual({ stable: '1', candidate: '', shadow: '' });
  });

  it('leave what they said on the way, and the ids of what is lost, as evidence', async () => {
    let evidence: readonly string[] = [];
    let id = '';
    // Evidence that cannot be stored at once does not hold a decision up: on a busy machine it may lack.
    for (let attempt = 0; evidence.length === 0 && attempt < 5; attempt++) {
      ({ id } = await start('3'));
      evidence = (await reached(clients, id, ReleaseState.ROLLED_BACK)).history.at(-1)?.evidence ?? [];
    }
    const [digest = ''] = evidence;
    const { readings } = await clients.release.listReadings({ releaseId: id });
    const flips = readings.at(-1)?.tests.find(({ test }) => test === 'probe.flips');
    expect(flips).toMatchObject({ trials: readings.at(-1)?.probed, alarm: true });
    const { lostProbes } = JSON.parse(
      readFileSync(join(folder.path, 'artifacts/sha256', digest.slice(7, 9), digest.slice(7)), 'utf8'),
    ) as { lostProbes: string[] };
    expect(BigInt(lostProbes.length)).toBe(flips?.events);
    for (const item of lostProbes) expect(item).toMatch(/^q\d+$/);
  });

  it('end SHADOW for a good one, once each over a change of updaters, and no step of the canary', async () => {
    const release = await start('2', { stepSeconds: 2 });
    await reached(clients, release.id, ReleaseState.SHADOW);
    await waitUntil('some are answered', async () => (await probedBy(release.id)) >= 12, PATIENCE);
    await updater.stop();
    await electedUpdater();
    const canary = await reached(clients, release.id, ReleaseState.CANARY, 1);
    expect(canary.history.at(-1)?.reason).toContain('no limit is broken');
    await waitUntil('all are answered', async () => (await probedBy(release.id)) === ITEMS, PATIENCE);
    const now = await waitUntil('it waits for callers', async () => {
      const last = await found(release.id);
      return last.waitingFor === '0 of 40 samples have come.' ? last : undefined;
    });
    expect(now.live?.tests.find(({ test }) => test === 'probe.flips')).toMatchObject({
      ...{ trials: BigInt(ITEMS), events: 0n, alarm: false },
    });
    const { readings } = await clients.release.listReadings({ releaseId: release.id });
    expect(readings.length).toBeGreaterThan(5);
    expect(readings.at(-1)?.probed).toBe(BigInt(ITEMS));
    const items = await answeredItems(release.id);
    expect(items.length).toBeLessThanOrEqual(ITEMS + 6);
    expect(new Set(items).size).toBe(ITEMS);
    for (const file of ['events.sqlite', 'events.sqlite-wal'])
      expect(readFileSync(join(folder.path, file)).includes(MARK)).toBe(false);
  });

  it('wait while the host is away, and count nothing against the candidate for it', async () => {
    const release = await start('2', { minimumSamples: 55 });
    await waitUntil('some are answered', async () => (await probedBy(release.id)) >= 6, PATIENCE);
    await host.stop('SIGKILL');
    await waitUntil(
      'it says what they wait for',
      async () => (await found(release.id)).waitingFor.includes('Probes wait: no host has intents@1'),
      PATIENCE,
    );
    host = await HostProcess.start(folder.path);
    const on = await waitUntil(
      'it goes on',
      async () => {
        const now = await found(release.id);
        return now.state === ReleaseState.CANARY && now.live?.probed === BigInt(ITEMS) ? now : undefined;
      },
      PATIENCE,
    );
    expect(on.live?.tests.find(({ test }) => test === 'probe.flips')?.events).toBe(0n);
  });

  it('are a rule of the gate in place of the test of the plan', async () => {
    const gate = Buffer.from(
      'version: 1\nname: g\nrules:\n  - { name: known, measure: flips, data: probes, threshold: 0.02, minimumSamples: 60 }\n',
    );
    const release = await start('3', { gate });
    const back = await reached(clients, release.id, ReleaseState.ROLLED_BACK);
    expect(back.history.at(-1)?.reason).toContain('known: ');
    expect(back.history.at(-1)?.reason).not.toContain('probe.flips');
    const many = Buffer.from(gate.toString().replace('60', '61'));
    expect((await errorOf(start('3', { gate: many }))).message).toContain(
      'of which it needs 61; 60 are given',
    );
  });

  it('are refused before anything changes, and no text is told', async () => {
    const row = (change: object = {}) => ({ id: 'q', text: MARK, label: 'card', ...change });
    const before = (await clients.registry.getStatus({})).revision;
    for (const [digest, code, part] of [
      [await stored([]), 'DATASET_INVALID', 'holds no probes'],
      [await stored([row(), row()]), 'DATASET_INVALID', 'line 2 has the id of line 1'],
      [await stored([row({ extra: MARK })]), 'DATASET_INVALID', 'line 1 has a field beside'],
      [await stored([row({ label: MARK })]), 'REQUEST_INVALID', 'item 1 has a label that is none of the 3'],
      [await stored([row()]), 'REQUEST_INVALID', 'it would never end'],
      [`sha256:${'00'.repeat(32)}`, 'ARTIFACT_NOT_FOUND', ''],
      ['nonsense', 'REQUEST_INVALID', ''],
    ] as const) {
      const error = await errorOf(start('2', { probesDigest: digest }));
      expect([error.code, error.message]).toEqual([code, expect.stringContaining(part)]);
      expect(error.message).not.toContain(MARK);
    }
    expect((await clients.registry.getStatus({})).revision).toBe(before);
  });
});
