import { importBundle, writeBundle } from '@thalamus/bundle';
import { releaseV1 } from '@thalamus/contracts';
import { waitUntil } from '@thalamus/testing';
import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { channelsOf, reached, ReleaseTraffic } from './released-expert.js';
import { kill, leads, Replicas, type Replica } from './replica.js';
import { bundleManifest, temporaryFolder } from './running-updater.js';

const { ReleaseState, RuleStatus } = releaseV1;

describe('a release whose updater is killed', { timeout: 180_000 }, () => {
  const folder = temporaryFolder();
  const replicas = new Replicas(folder.path);
  let leader: Replica;
  let traffic: ReleaseTraffic;

  beforeAll(async () => {
    leader = await replicas.start('the first one');
    await waitUntil('it leads', leads(leader));
    for (const version of ['1', '2']) {
      const path = join(folder.path, `bundle-${version}`);
      await writeBundle(path, bundleManifest({ version }), {
        'model.onnx': Buffer.from('weights'),
        'tokenizer.json': Buffer.from('{}'),
      });
      const { digest: manifestDigest } = await importBundle(path, leader.clients.artifacts);
      await leader.clients.registry.registerVersion({ version: { manifestDigest } });
    }
    traffic = await ReleaseTraffic.open(folder.path);
  }, 120_000);
  afterAll(async () => {
    await traffic.close();
    await replicas.killAll();
    folder.remove();
  });

  /** Ends the leader at once; another process goes on with what the log says. */
  const takeOver = async () => {
    const next = replicas.start('the next one');
    await kill(leader);
    leader = await next;
    await waitUntil('the next one leads', leads(leader), { timeoutMs: 30_000 });
  };
  const start = async () => {
    const plan = { stepSeconds: 1, minimumSamples: 20, steps: [0.1, 0.5] };
    const { release } = await leader.clients.release.start({ expert: 'pico', toVersion: '2', ...plan });
    return release as releaseV1.Release;
  };

  it('goes on from each state with what was heard before, to the end', async () => {
    const release = await start();
    await takeOver();
    await reached(leader.clients, release.id, ReleaseState.DRAFT);
    await traffic.hostHas('2');
    await reached(leader.clients, release.id, ReleaseState.SHADOW);
    await traffic.mirrored(release, 10);
    await takeOver();
    const shadow = await waitUntil('what was mirrored is known again', async () => {
      const found = (await leader.clients.release.getRelease({ id: release.id })).release;
      return found?.live?.mirrored === 10n ? found : undefined;
    });
    expect(shadow.waitingFor).toContain('10 of 20 samples');
    await traffic.mirrored(release, 10);
    await reached(leader.clients, release.id, ReleaseState.CANARY, 1);
    await takeOver();
    await traffic.completed(release, '2', 20);
    await reached(leader.clients, release.id, ReleaseState.CANARY, 2);
    await traffic.completed(release, '2', 20);
    await takeOver();
    const done = await reached(leader.clients, release.id, ReleaseState.STABLE);
    expect(done.history.map(({ state }) => state)).toEqual([
      ReleaseState.DRAFT,
      ReleaseState.SHADOW,
      ReleaseState.CANARY,
      ReleaseState.CANARY,
      ReleaseState.STABLE,
    ]);
    await takeOver();
    expect(await channelsOf(leader.clients)).toEqual({ stable: '2', candidate: '', shadow: '' });
    const back = await leader.clients.release.rollBack({ releaseId: release.id, reason: 'by hand' });
    expect(back.release?.state).toBe(ReleaseState.ROLLED_BACK);
    expect((await channelsOf(leader.clients)).stable).toBe('1');
  });

  it('is taken back by the next one for what came while nobody led', async () => {
    const release = await start();
    await reached(leader.clients, release.id, ReleaseState.SHADOW);
    await kill(leader);
    await traffic.feedback((await traffic.mirrored(release, 10, 4)).slice(0, 4), 'a');
    leader = await replicas.start('the next one');
    const back = await reached(leader.clients, release.id, ReleaseState.ROLLED_BACK);
    expect(back.history.at(-1)?.reason).toContain('mirror.flips: 4 of 4');
    expect(await channelsOf(leader.clients)).toEqual({ stable: '1', candidate: '', shadow: '' });
  });

  it('goes on by the same gate, and gives the candidate nothing while the document cannot be read', async () => {
    const gate = Buffer.from(
      'version: 1\nname: strict\nrules:\n  - { name: few, measure: errorRate, data: shadow, threshold: 0.05, minimumSamples: 30 }\n',
    );
    const plan = { stepSeconds: 1, minimumSamples: 20, steps: [0.5] };
    await traffic.hostHas('2');
    const started = await leader.clients.release.start({ expert: 'pico', toVersion: '2', gate, ...plan });
    const release = started.release as releaseV1.Release;
    await reached(leader.clients, release.id, ReleaseState.SHADOW);
    await traffic.mirrored(release, 25);
    const waits = (part: string) =>
      waitUntil(
        `it waits for ${part}`,
        async () =>
          (await leader.clients.release.getRelease({ id: release.id })).release?.waitingFor.includes(part),
        { timeoutMs: 20_000 },
      );
    await waits('few: errorRate is 0 (always-valid p 1; 25 samples; 30 are needed)');
    await takeOver();
    await waits('few: errorRate is 0 (always-valid p 1; 25 samples; 30 are needed)');

    const hex = (release.gate?.digest ?? '').slice('sha256:'.length);
    const path = join(folder.path, 'artifacts', 'sha256', hex.slice(0, 2), hex);
    const lease = async () => {
      const { resource } = await leader.clients.registry.getResource({ key: `release/${release.id}` });
      return resource?.value.case === 'release' ? resource.value.value.leaseExpiresAt : undefined;
    };
    for (const [bytes, part] of [
      [undefined, 'The gate strict cannot be read'],
      [gate.toString().replace('0.05', '0.95'), 'is not what it claims'],
    ] as const) {
      chmodSync(path, 0o600);
      rmSync(path);
      if (bytes !== undefined) writeFileSync(path, bytes);
      await takeOver();
      await waits(part);
      const before = await lease();
      await traffic.mirrored(release, 1);
      await sleep(6_000);
      expect(await lease()).toEqual(before);
      writeFileSync(path, gate);
      await waits('30 are needed');
      await waitUntil('it is renewed again', async () => (await lease())?.seconds !== before?.seconds);
    }
    await traffic.mirrored(release, 5);
    const on = await reached(leader.clients, release.id, ReleaseState.CANARY, 1);
    expect(on.gate).toMatchObject({ name: 'strict', rules: [{ rule: 'few', status: RuleStatus.PASSED }] });
  });
});
