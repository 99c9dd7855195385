import { registryV1, releaseV1 } from '@thalamus/contracts';
import { waitUntil } from '@thalamus/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
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
    for (const { id, state } of (await clients.release.listReleases({})).releases)
      if (state === ReleaseState.DRAFT || state === ReleaseState.SHADOW) await rollBack(id);
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
});
