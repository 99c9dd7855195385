import { parseDigest, readArtifact } from '@thalamus/bundle';
import { deadLetterTopic, EVENT_HEADERS, registryV1, releaseV1, TOPICS } from '@thalamus/contracts';
import { waitUntil } from '@thalamus/testing';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { channelsOf, reached, ReleaseTraffic } from './released-expert.js';
import { codeOf, errorOf, RunningUpdater, temporaryFolder } from './running-updater.js';

const { ReleaseState } = releaseV1;
const FAST = { stepSeconds: 1, minimumSamples: 20, steps: [0.1, 0.5] };

describe('the rollout of a version', { timeout: 60_000 }, () => {
  const folder = temporaryFolder();
  let updater: RunningUpdater;
  let traffic: ReleaseTraffic;
  let clients: RunningUpdater['clients'];

  beforeAll(async () => {
    updater = await RunningUpdater.start(folder.path);
    ({ clients } = updater);
    await waitUntil('a writer is elected', async () => (await clients.registry.getStatus({})).isLeader);
    for (const version of ['1', '2', '3'])
      await clients.registry.registerVersion({
        version: { manifestDigest: await updater.store({ version }) },
      });
    traffic = await ReleaseTraffic.open(folder.path);
  });
  afterEach(async () => {
    const live = [ReleaseState.DRAFT, ReleaseState.COMPARED, ReleaseState.SHADOW, ReleaseState.CANARY];
    for (const { id, state } of (await clients.release.listReleases({})).releases)
      if (live.includes(state)) await rollBack(id);
  });
  afterAll(async () => {
    await traffic.close();
    await updater.stop();
    folder.remove();
  });

  const start = async (toVersion: string, more = {}) => {
    const { release } = await clients.release.start({ expert: 'pico', toVersion, ...FAST, ...more });
    return release as releaseV1.Release;
  };
  const stateOf = async (id: string) => (await clients.release.getRelease({ id })).release?.state;
  const rollBack = (id: string) => clients.release.rollBack({ releaseId: id, reason: 'over' });

  it('goes from shadow by steps to stable as samples and time come, and not before a host has it ready', async () => {
    const release = await start('2');
    expect(release).toMatchObject({ state: ReleaseState.DRAFT, fromVersion: '1', weight: 0 });
    expect(await channelsOf(clients)).toEqual({ stable: '1', candidate: '', shadow: '2' });
    await waitUntil('it says what it waits for', async () =>
      (await clients.release.getRelease({ id: release.id })).release?.waitingFor.includes(
        'No host has pico@2',
      ),
    );
    await traffic.hostHas('2');
    await reached(clients, release.id, ReleaseState.SHADOW);
    const summary = (await clients.registry.getResource({ key: `release/${release.id}` })).resource?.value;
    expect(summary).toMatchObject({
      case: 'release',
      value: { state: 'SHADOW', weight: 0, mirrorShare: 0.1 },
    });
    await traffic.mirrored(release, 30);
    const first = await reached(clients, release.id, ReleaseState.CANARY, 1);
    expect(first.weight).toBe(0.1);
    expect(await channelsOf(clients)).toEqual({ stable: '1', candidate: '2', shadow: '' });
    await traffic.completed(release, '1', 30);
    await traffic.completed(release, '2', 30);
    expect((await reached(clients, release.id, ReleaseState.CANARY, 2)).weight).toBe(0.5);
    await traffic.completed(release, '2', 30);
    const done = await reached(clients, release.id, ReleaseState.STABLE);
    expect(await channelsOf(clients)).toEqual({ stable: '2', candidate: '', shadow: '' });
    expect(done.history.map(({ state, by }) => [ReleaseState[state], by])).toEqual([
      ['DRAFT', 'unnamed'],
      ['SHADOW', 'gate'],
      ['CANARY', 'gate'],
      ['CANARY', 'gate'],
      ['STABLE', 'gate'],
    ]);
    expect(done.history.at(-1)?.reason).toContain('no limit is broken');
    const [digest = ''] = done.history.at(-1)?.evidence ?? [];
    expect(await clients.artifacts.stat(digest as `sha256:${string}`)).toBeDefined();
    const actions = (await updater.audit()).filter(({ subject }) => subject === `release/${release.id}`);
    // Renewed leases are not for the audit.
    expect(actions.map(({ action }) => action)).toEqual([
      'release.Start',
      ...Array<string>(4).fill('release.Advance'),
    ]);
  });

  it('promoted twice says that it is stable already; rolled back twice that it has ended', async () => {
    const [release] = (await clients.release.listReleases({ expert: 'pico' })).releases;
    const releaseId = release?.id ?? '';
    const again = await errorOf(clients.release.promote({ releaseId }));
    expect(again.code).toBe('RELEASE_CONFLICT');
    expect(again.message).toContain('stable already');
    expect((await rollBack(releaseId)).release?.state).toBe(ReleaseState.ROLLED_BACK);
    expect((await channelsOf(clients)).stable).toBe('1');
    expect(await codeOf(rollBack(releaseId))).toBe('RELEASE_CONFLICT');
    expect(await codeOf(rollBack('none'))).toBe('RESOURCE_NOT_FOUND');
  });

  it('refuses a second live release, channels by hand and the removal of the expert while one is live', async () => {
    const release = await start('2');
    const refused = [
      clients.release.start({ expert: 'pico', toVersion: '3' }),
      clients.registry.setChannel({
        expert: 'pico',
        channel: registryV1.Channel.STABLE,
        version: '3',
        reason: 'by hand',
      }),
      clients.release.promote({ expert: 'pico', version: '3', reason: 'by hand' }),
      clients.registry.removeExpert({ expert: 'pico' }),
    ];
    for (const call of refused) {
      const error = await errorOf(call);
      expect(error.code).toBe('RELEASE_CONFLICT');
      expect(error.message).toContain(release.id);
    }
    await rollBack(release.id);
    expect(await channelsOf(clients)).toEqual({ stable: '1', candidate: '', shadow: '' });
    const atOnce = await Promise.allSettled([start('2'), start('3')]);
    expect(atOnce.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  it.each([
    ['an unknown expert', { expert: 'none' }, 'EXPERT_NOT_FOUND'],
    ['an unknown version', { toVersion: '9' }, 'EXPERT_NOT_FOUND'],
    ['the stable version', { toVersion: '1' }, 'RELEASE_CONFLICT'],
    ['steps that fall', { steps: [0.5, 0.1] }, 'REQUEST_INVALID'],
    ['a share above 1', { mirrorShare: 2 }, 'REQUEST_INVALID'],
    ['a budget that is no share', { negativeFlipBudget: 1.5 }, 'REQUEST_INVALID'],
    ['one prediction file alone', { oldDigest: `sha256:${'00'.repeat(32)}` }, 'ARTIFACT_NOT_FOUND'],
    ['neither files nor a shadow', { mirrorShare: 0 }, 'REQUEST_INVALID'],
  ])('refuses to start with %s', async (_, change, code) => {
    expect(await codeOf(clients.release.start({ expert: 'pico', toVersion: '2', ...change }))).toBe(code);
  });

  it('writes nothing in a dry run', async () => {
    const before = (await clients.registry.getStatus({})).revision;
    const { release } = await clients.release.start({ expert: 'pico', toVersion: '2', dryRun: true });
    expect(release?.state).toBe(ReleaseState.DRAFT);
    expect((await clients.registry.getStatus({})).revision).toBe(before);
  });

  it('is taken back within a second when the candidate flips what was right', async () => {
    const release = await start('2', { mirrorShare: 1 });
    await reached(clients, release.id, ReleaseState.SHADOW);
    const ids = await traffic.mirrored(release, 30, 3);
    const startedAt = performance.now();
    await traffic.feedback(ids.slice(0, 3), 'a');
    const back = await reached(clients, release.id, ReleaseState.ROLLED_BACK);
    expect(performance.now() - startedAt).toBeLessThan(1_000);
    expect(back.history.at(-1)).toMatchObject({ by: 'gate', state: ReleaseState.ROLLED_BACK });
    expect(back.history.at(-1)?.reason).toMatch(/mirror\.flips: (2 of 2|3 of 3) against/);
    // What the tests said on the way is kept as evidence.
    const { readings } = await clients.release.listReadings({ releaseId: release.id });
    expect(readings.length).toBeGreaterThan(5);
    const mirrored = readings.map((reading) => Number(reading.mirrored));
    expect(mirrored).toEqual(mirrored.toSorted((a, b) => a - b));
    expect(readings.at(-1)?.tests.find(({ test }) => test === 'mirror.flips')?.alarm).toBe(true);
    expect(await codeOf(clients.release.listReadings({ releaseId: 'none' }))).toBe('RESOURCE_NOT_FOUND');
    expect(await channelsOf(clients)).toEqual({ stable: '1', candidate: '', shadow: '' });
  });

  it('is taken back in canary when the candidate fails and the stable version does not', async () => {
    const release = await start('2', { minimumSamples: 1_000 });
    await reached(clients, release.id, ReleaseState.SHADOW);
    await clients.release.advance({ releaseId: release.id, reason: 'no traffic at night' });
    await reached(clients, release.id, ReleaseState.CANARY, 1);
    await traffic.completed(release, '1', 8);
    await traffic.completed(release, '2', 8, 'INFERENCE_FAILED');
    await traffic.completed(release, '1', 8);
    await traffic.completed(release, '2', 8, 'INFERENCE_FAILED');
    const back = await reached(clients, release.id, ReleaseState.ROLLED_BACK);
    expect(back.history.at(-1)?.reason).toContain('canary.errors');
    expect(await stateOf(release.id)).toBe(ReleaseState.ROLLED_BACK);
  });

  it('is neither moved nor renewed while nothing can be written, and goes on when it can', async () => {
    const release = await start('2', { stepSeconds: 3 });
    await reached(clients, release.id, ReleaseState.SHADOW);
    await traffic.mirrored(release, 30);
    const leaseOf = async () => {
      const { resource } = await clients.registry.getResource({ key: `release/${release.id}` });
      return resource?.value.case === 'release' ? resource.value.value.leaseExpiresAt : undefined;
    };
    const log = new DatabaseSync(join(folder.path, 'events.sqlite'));
    try {
      log.exec('BEGIN IMMEDIATE');
      // What was written just before is read within this time.
      await sleep(1_000);
      const lease = await leaseOf();
      await sleep(6_000);
      expect(await stateOf(release.id)).toBe(ReleaseState.SHADOW);
      expect(await leaseOf()).toEqual(lease);
      log.exec('ROLLBACK');
    } finally {
      log.close();
    }
    await reached(clients, release.id, ReleaseState.CANARY, 1);
    await rollBack(release.id);
  });

  it('makes dead letters of events that cannot be read, and goes on', async () => {
    const release = await start('2');
    await reached(clients, release.id, ReleaseState.SHADOW);
    const { name: topic, type } = TOPICS.shadowCompared;
    const letters: string[] = [];
    await traffic.bus.publish([
      { topic, key: 'torn', value: Buffer.from([0xff]), headers: { [EVENT_HEADERS.type]: type } },
    ]);
    await traffic.mirrored(release, 30);
    await reached(clients, release.id, ReleaseState.CANARY, 1);
    const follower = await traffic.bus.follow({
      topic: deadLetterTopic(topic),
      onRecord: ({ headers }) => letters.push(headers[EVENT_HEADERS.errorCode] ?? ''),
    });
    await waitUntil('the dead letter is there', () => letters.length > 0);
    await follower.stop();
    expect(letters).toEqual(['EVENT_INVALID']);
    await rollBack(release.id);
  });

  it('is stopped by an incompatible comparison, and goes on by hand with a reason', async () => {
    const rows = (wrong: number) =>
      Buffer.from(
        Array.from({ length: 50 }, (_, id) =>
          JSON.stringify({ id: String(id), label: 'a', prediction: id < wrong ? 'b' : 'a' }),
        ).join('\n'),
      );
    const { digest: oldDigest } = await clients.artifacts.put(rows(0));
    const { digest: newDigest } = await clients.artifacts.put(rows(20));
    const release = await start('2', { oldDigest, newDigest });
    expect(release.state).toBe(ReleaseState.COMPARED);
    expect(release.stopped).toContain('Incompatible: 20 of 50');
    expect(await channelsOf(clients)).toEqual({ stable: '1', candidate: '', shadow: '' });
    const evidence = release.history.at(-1)?.evidence ?? [];
    expect(evidence.slice(0, 2)).toEqual([oldDigest, newDigest]);
    const flips = Buffer.from(
      await readArtifact(clients.artifacts, parseDigest(evidence[2] ?? ''), 2 ** 20),
    ).toString();
    expect(flips.trim().split('\n')).toHaveLength(20);
    expect(await codeOf(clients.release.promote({ releaseId: release.id }))).toBe('REQUEST_INVALID');
    expect(await codeOf(clients.release.advance({ releaseId: release.id }))).toBe('REQUEST_INVALID');
    const { release: on } = await clients.release.advance({ releaseId: release.id, reason: 'known labels' });
    expect(on).toMatchObject({ state: ReleaseState.SHADOW, stopped: '' });
    await rollBack(release.id);
    const overridden = await start('2', { oldDigest, newDigest, overrideReason: 'the labels were wrong' });
    expect(overridden.stopped).toBe('');
    expect(overridden.history.at(-1)?.reason).toContain('Overridden: the labels were wrong');
    await rollBack(overridden.id);
  });

  it('is refused where callers would break, unless a reason is given', async () => {
    await clients.registry.registerVersion({
      version: { manifestDigest: await updater.store({ version: '4', maxTokens: 8 }) },
    });
    const error = await errorOf(start('4'));
    expect(error.code).toBe('RELEASE_CONFLICT');
    expect(error.message).toContain('At most 8 tokens are read now');
    await rollBack((await start('4', { overrideReason: 'nobody sends more' })).id);
  });

  it('is listed by pages, newest first', async () => {
    const all = (await clients.release.listReleases({ expert: 'pico' })).releases.map(({ id }) => id);
    const first = await clients.release.listReleases({ pageSize: 2 });
    const second = await clients.release.listReleases({ pageSize: 100, pageToken: first.nextPageToken });
    expect([...first.releases, ...second.releases].map(({ id }) => id)).toEqual(all);
    expect(second.nextPageToken).toBe('');
    expect((await clients.release.listReleases({ expert: 'none' })).releases).toEqual([]);
    expect(await codeOf(clients.release.listReleases({ pageToken: 'no' }))).toBe('REQUEST_INVALID');
  });
});
