import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { registryV1, RPC_METADATA, TOPICS } from '@thalamus/contracts';
import { EmbeddedEventBus } from '@thalamus/events';
import { waitUntil } from '@thalamus/testing';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { codeOf, errorOf, RunningUpdater, temporaryFolder } from './running-updater.js';

const { Channel, Role } = registryV1;
const PROBE = { name: 'probe', kind: 'probe', task: 'text-classification', labels: ['no', 'yes'] } as const;

describe('registry of a running updater', () => {
  const folder = temporaryFolder();
  let updater: RunningUpdater;
  let registry: RunningUpdater['clients']['registry'];
  let baseDigest = '';

  beforeAll(async () => {
    updater = await RunningUpdater.start(folder.path);
    registry = updater.clients.registry;
    await waitUntil('a writer is elected', async () => (await registry.getStatus({})).isLeader);
    baseDigest = await updater.store();
    await registry.registerVersion({ version: { manifestDigest: baseDigest } });
  });
  afterAll(async () => {
    await updater.stop();
    folder.remove();
  });

  const storeProbe = (version: string, content = version) =>
    updater.store(
      {
        ...PROBE,
        labels: [...PROBE.labels],
        version,
        base: { name: 'pico', digest: baseDigest as `sha256:${string}` },
      },
      content,
    );
  const registerProbe = async (version: string) =>
    registry.registerVersion({ version: { manifestDigest: await storeProbe(version) } });
  const expert = async (name: string) => {
    const { resource } = await registry.getResource({ key: `expert/${name}` });
    if (resource?.value.case !== 'expert') throw new Error(`no expert ${name}`);
    return { ...resource.value.value, revision: resource.revision };
  };
  const listed = async (kind: string) =>
    (await registry.listResources({ kind })).resources.map(({ key }) => key);

  describe('versions', () => {
    it('makes the first version of an expert stable, and takes its facts from the manifest', async () => {
      const { version } = await registerProbe('1');
      expect(version?.value).toMatchObject({
        case: 'version',
        value: { expert: 'probe', version: '1', baseDigest, labelCount: 2, task: 'text-classification' },
      });
      expect(await expert('probe')).toMatchObject({ stable: '1', candidate: '', shadow: '' });
    });

    it('leaves stable alone when a second version comes', async () => {
      await registerProbe('2');
      expect((await expert('probe')).stable).toBe('1');
    });

    it('changes nothing when the same version comes twice', async () => {
      const before = (await registry.getStatus({})).revision;
      expect((await registerProbe('2')).existed).toBe(true);
      expect((await registry.getStatus({})).revision).toBe(before);
    });

    it('refuses other content under a registered version', async () => {
      const manifestDigest = await storeProbe('2', 'other weights');
      expect(await codeOf(registry.registerVersion({ version: { manifestDigest } }))).toBe(
        'REVISION_CONFLICT',
      );
    });

    it('refuses claims that the manifest does not bear out', async () => {
      const manifestDigest = await storeProbe('3');
      const error = await errorOf(registry.registerVersion({ version: { manifestDigest, expert: 'other' } }));
      expect(error.code).toBe('REQUEST_INVALID');
      expect(error.message).toContain('the manifest says "probe"');
    });

    it('changes nothing for a bundle that is not stored, not a bundle, or stands on an unknown base', async () => {
      const before = await registry.getStatus({});
      const absent = `sha256:${'00'.repeat(32)}`;
      const { digest: noBundle } = await updater.clients.artifacts.put(Buffer.from('{"schemaVersion":1}'));
      const strayBase = await updater.store({
        ...PROBE,
        labels: ['no', 'yes'],
        name: 'stray',
        base: { name: 'pico', digest: absent as `sha256:${string}` },
      });
      const refused = async (manifestDigest: string) =>
        codeOf(registry.registerVersion({ version: { manifestDigest } }));
      expect(await refused(absent)).toBe('ARTIFACT_NOT_FOUND');
      expect(await refused(noBundle)).toBe('BUNDLE_INVALID');
      expect(await refused(strayBase)).toBe('EXPERT_NOT_FOUND');
      expect(await refused('nonsense')).toBe('REQUEST_INVALID');
      expect(await registry.getStatus({})).toMatchObject({
        revision: before.revision,
        resourceCount: before.resourceCount,
      });
    });
  });

  it('of router models takes tasks, candidates and the unit of losses from the manifest', async () => {
    const manifestDigest = await updater.storeRouterModel('chooser', baseDigest);
    await registry.registerRouterModel({ routerModel: { manifestDigest }, activate: true });
    const { resource } = await registry.getResource({ key: 'router-model/chooser@1' });
    expect(resource?.value).toMatchObject({
      case: 'routerModel',
      value: { task: 'text-classification', candidates: ['probe'], active: true, lossUnit: 'error' },
    });
    await registry.registerRouterModel({ routerModel: { manifestDigest } });
    const again = await registry.getResource({ key: 'router-model/chooser@1' });
    expect(again.resource?.revision).toBe(resource?.revision);
  });

  describe('channels', () => {
    const set = (
      channel: registryV1.Channel,
      version: string,
      expectedRevision?: bigint,
      reason = 'tested',
    ) =>
      registry.setChannel({
        ...{ expert: 'probe', channel, version, reason },
        ...(expectedRevision === undefined ? {} : { expectedRevision }),
      });

    it('point at versions, and a promoted candidate is no candidate any more', async () => {
      await set(Channel.CANDIDATE, '2');
      expect(await expert('probe')).toMatchObject({ stable: '1', candidate: '2' });
      await set(Channel.STABLE, '2');
      expect(await expert('probe')).toMatchObject({ stable: '2', candidate: '' });
      await set(Channel.SHADOW, '1');
      await set(Channel.SHADOW, '');
      expect(await expert('probe')).toMatchObject({ stable: '2', shadow: '' });
    });

    it('refuse an unknown version, an unknown expert, no channel, and an empty stable', async () => {
      expect(await codeOf(set(Channel.STABLE, '99'))).toBe('EXPERT_NOT_FOUND');
      expect(await codeOf(set(Channel.STABLE, ''))).toBe('REQUEST_INVALID');
      expect(await codeOf(set(Channel.UNSPECIFIED, '1'))).toBe('REQUEST_INVALID');
      const unknown = registry.setChannel({ expert: 'nobody', channel: Channel.STABLE, version: '1' });
      expect(await codeOf(unknown)).toBe('EXPERT_NOT_FOUND');
    });

    it('refuse another stable version without a reason, and say what else can be done', async () => {
      const error = await errorOf(set(Channel.STABLE, '1', undefined, ' '));
      expect(error.code).toBe('REQUEST_INVALID');
      expect(error.message).toContain('"thalamus release start probe 1"');
      expect((await expert('probe')).stable).toBe('2');
      await set(Channel.STABLE, '2', undefined, '');
      await set(Channel.SHADOW, '1', undefined, '');
      await set(Channel.SHADOW, '', undefined, '');
    });

    it('refuse a write on a revision that has passed, and say which one stands', async () => {
      const { revision } = await expert('probe');
      await set(Channel.STABLE, '1', revision);
      const error = await errorOf(set(Channel.STABLE, '2', revision));
      expect(error.code).toBe('REVISION_CONFLICT');
      const now = await expert('probe');
      expect(now.stable).toBe('1');
      expect(error.message).toContain(`at revision ${now.revision}`);
    });

    it('let one of many writers on the same revision win', async () => {
      const { revision } = await expert('probe');
      const results = await Promise.allSettled(
        Array.from({ length: 8 }, (_, index) => set(Channel.SHADOW, String(1 + (index % 2)), revision)),
      );
      expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    });
  });

  it('numbers changes without gaps or repeats, and reads its own writes', async () => {
    const before = (await registry.getStatus({})).revision;
    const made = await Promise.all(
      Array.from({ length: 12 }, (_, index) =>
        registry.createKey({ tenant: 'load', role: Role.VIEWER, description: String(index) }),
      ),
    );
    const revisions = made.map(({ key }) => key?.revision ?? 0n).sort((a, b) => (a < b ? -1 : 1));
    expect(revisions).toEqual(Array.from({ length: 12 }, (_, index) => before + BigInt(index) + 1n));
    for (const { key } of made) {
      const { resource } = await registry.getResource({
        key: key?.key ?? '',
        minRevision: key?.revision ?? 0n,
      });
      expect(resource?.revision).toBe(key?.revision);
    }
    const future = registry.getResource(
      { key: 'expert/probe', minRevision: before + 1_000n },
      { deadlineMs: 200 },
    );
    expect(await codeOf(future)).toBe('DEADLINE_EXCEEDED');
  });

  it('watches from a whole picture on: nothing is missed, removals are told', async () => {
    const abort = new AbortController();
    const state = new Map<string, bigint>();
    let caughtUp: bigint | undefined;
    const writing = (async () => {
      for (let index = 0; index < 10; index++)
        await registry.putPolicy({ policy: { tenant: `watched-${index}` } });
    })();
    const watching = (async () => {
      const stream = registry.watch({ keyPrefix: 'policy/' }, { signal: abort.signal, deadlineMs: 60_000 });
      for await (const { event } of stream) {
        if (event.case === 'changed') state.set(event.value.key, event.value.revision);
        if (event.case === 'removedKey') state.delete(event.value);
        if (event.case === 'caughtUpRevision') caughtUp = event.value;
      }
    })().catch(() => undefined);
    await writing;
    await waitUntil('every policy has been seen', () => state.size === 10 && caughtUp !== undefined);
    const stands = (await registry.listResources({ kind: 'policy' })).resources;
    expect([...state].sort()).toEqual(stands.map(({ key, revision }) => [key, revision] as const).sort());
    await registry.putPolicy({ policy: { tenant: 'watched-3', maxInFlight: 5 } });
    await waitUntil(
      'the change has been seen',
      () => (state.get('policy/watched-3') ?? 0n) > (caughtUp ?? 0n),
    );
    abort.abort();
    await watching;
  });

  describe('keys', () => {
    it('show the secret once and keep its hash', async () => {
      const { key, secret } = await registry.createKey({ tenant: 'acme', role: Role.OPERATOR });
      expect(secret).toMatch(/^thk_/);
      const { resource } = await registry.getResource({ key: key?.key ?? '' });
      const json = JSON.stringify(resource, (_, value: unknown) =>
        typeof value === 'bigint' ? String(value) : value,
      );
      // What follows the id is the secret; it is base64url, which may hold underscores too.
      const hidden = secret.split('_').slice(2).join('_');
      expect(hidden).toHaveLength(43);
      expect(json).not.toContain(hidden);
      expect(resource?.value).toMatchObject({
        case: 'apiKey',
        value: { tenant: 'acme', role: Role.OPERATOR },
      });
      expect(readFileSync(join(folder.path, 'events.sqlite')).includes(secret)).toBe(false);
    });

    it('are revoked once; a second time changes nothing', async () => {
      const { key } = await registry.createKey({ tenant: 'acme', role: Role.VIEWER });
      const id = key?.key.slice('key/'.length) ?? '';
      const first = await registry.revokeKey({ id });
      const second = await registry.revokeKey({ id });
      expect(first.key?.value).toMatchObject({
        case: 'apiKey',
        value: { revokedAt: expect.anything() as unknown },
      });
      expect(second.key?.revision).toBe(first.key?.revision);
    });

    it('are refused without a role, for a bad tenant, and when nobody has them', async () => {
      expect(await codeOf(registry.createKey({ tenant: 'acme' }))).toBe('REQUEST_INVALID');
      expect(await codeOf(registry.createKey({ tenant: 'ACME!', role: Role.ADMIN }))).toBe('REQUEST_INVALID');
      expect(await codeOf(registry.revokeKey({ id: 'thk_000000000000' }))).toBe('RESOURCE_NOT_FOUND');
    });
  });

  it('keeps policies and names every wrong field', async () => {
    await registry.putPolicy({ policy: { tenant: 'acme', allowedExperts: ['probe'], minTrust: 0.3 } });
    const error = await errorOf(
      registry.putPolicy({
        policy: {
          tenant: 'No',
          minTrust: 2,
          requestsPerSecond: -1,
          fallbackExpert: 'nobody',
          defaultWeights: { size: -1 },
          risk: { alpha: -1, delta: 1 },
          correctionsResetAt: timestampFromMs(0),
          exploration: { epsilon: 2, pool: 0, within: -1 },
        },
      }),
    );
    for (const part of [
      'policy.tenant',
      'policy.min_trust',
      'policy.corrections_reset_at',
      'requests_per_second',
      'default_weights.size',
      'policy.risk.alpha',
      'policy.risk.delta',
      'policy.exploration.epsilon',
      'policy.exploration.pool',
      'policy.exploration.within',
      'nobody',
    ])
      expect(error.message).toContain(part);
  });

  it('registers data sets whose file is stored, once', async () => {
    const { digest } = await updater.clients.artifacts.put(Buffer.from('text,label\na,b\n'));
    const dataset = { name: 'rows', version: '1', digest, licence: 'CC0-1.0', split: 'train' };
    const first = await registry.registerDataset({ dataset });
    const again = await registry.registerDataset({ dataset });
    expect(again.dataset?.revision).toBe(first.dataset?.revision);
    const other = (await updater.clients.artifacts.put(Buffer.from('text,label\nc,d\n'))).digest;
    expect(await codeOf(registry.registerDataset({ dataset: { ...dataset, digest: other } }))).toBe(
      'REVISION_CONFLICT',
    );
    const absent = { ...dataset, name: 'absent', digest: `sha256:${'00'.repeat(32)}` };
    expect(await codeOf(registry.registerDataset({ dataset: absent }))).toBe('ARTIFACT_NOT_FOUND');
    const faults = await errorOf(
      registry.registerDataset({ dataset: { name: 'A', version: 'x', digest, split: 'all' } }),
    );
    for (const part of ['dataset.name', 'dataset.version', 'dataset.licence', 'dataset.split'])
      expect(faults.message).toContain(part);
  });

  it('removes an expert with its versions, unless another stands on it; its revision is never used again', async () => {
    expect(await codeOf(registry.removeExpert({ expert: 'pico' }))).toBe('REVISION_CONFLICT');
    const { revision } = await registry.removeExpert({ expert: 'probe' });
    expect(await listed('expert')).toEqual(['expert/pico']);
    expect(await listed('version')).toEqual(['version/pico@1']);
    expect(await codeOf(registry.getResource({ key: 'expert/probe' }))).toBe('RESOURCE_NOT_FOUND');
    const next = await registry.createKey({ tenant: 'acme', role: Role.VIEWER });
    expect(next.key?.revision).toBe(revision + 1n);
  });

  it('lists by page and refuses unknown kinds', async () => {
    const keys: string[] = [];
    let pageToken = '';
    do {
      const page = await registry.listResources({ kind: 'key', pageSize: 4, pageToken });
      expect(page.resources.length).toBeLessThanOrEqual(4);
      keys.push(...page.resources.map(({ key }) => key));
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    expect(keys).toEqual(await listed('key'));
    expect(await codeOf(registry.listResources({ kind: 'experts' }))).toBe('REQUEST_INVALID');
  });

  it('records every change in the audit: who, what, why, at which revision', async () => {
    const { key } = await registry.createKey(
      { tenant: 'acme', role: Role.VIEWER },
      { metadata: { [RPC_METADATA.actor]: 'thk_auditor' } },
    );
    const events = await updater.audit();
    expect(events.at(-1)).toMatchObject({
      actor: 'thk_auditor',
      action: 'registry.CreateKey',
      subject: key?.key,
      revision: key?.revision,
    });
    expect(
      events.some(
        ({ action, subject }) => action === 'registry.RemoveExpert' && subject === 'version/probe@1',
      ),
    ).toBe(true);
    expect(events.some(({ action }) => action === 'registry.SetChannel')).toBe(true);
  });

  it('stands again after a restart: the same resources and the same revision, read from offset zero', async () => {
    const before = await registry.getStatus({});
    const resources = await listed('key');
    await updater.stop();
    updater = await RunningUpdater.start(folder.path);
    registry = updater.clients.registry;
    expect(await registry.getStatus({})).toMatchObject({
      revision: before.revision,
      resourceCount: before.resourceCount,
      caughtUp: true,
    });
    expect(await listed('key')).toEqual(resources);
  });

  it('is not ready, and changes nothing, once a record cannot be read; it names the offset', async () => {
    const bus = new EmbeddedEventBus({ file: join(folder.path, 'events.sqlite') });
    await bus.start();
    const [position] = await bus.publish([
      {
        topic: TOPICS.registryState.name,
        key: 'expert/broken',
        value: Buffer.from([0xff, 0xff]),
        headers: {},
      },
    ]);
    await bus.close();
    await waitUntil('the updater is not ready', () => !updater.host.readiness().ready);
    expect(updater.host.readiness().reasons.join()).toContain(`record ${position?.offset ?? '?'} of`);
    expect(await codeOf(registry.createKey({ tenant: 'acme', role: Role.VIEWER }))).toBe(
      'REGISTRY_NOT_READY',
    );
  });
});

describe('the first administrator’s key', () => {
  it('is written once to a file that only its owner reads, and its hash is registered', async () => {
    const folder = temporaryFolder();
    const file = join(folder.path, 'keys', 'admin');
    const updater = await RunningUpdater.start(folder.path, { THALAMUS_BOOTSTRAP_KEY_FILE: file });
    try {
      const { registry } = updater.clients;
      const keys = await waitUntil('the key is registered', async () => {
        const { resources } = await registry.listResources({ kind: 'key' });
        return resources.length > 0 && existsSync(file) ? resources : undefined;
      });
      expect(keys).toHaveLength(1);
      expect(statSync(file).mode & 0o777).toBe(0o600);
      expect(readFileSync(file, 'utf8').trim()).toContain(keys[0]?.key.slice('key/'.length));
    } finally {
      await updater.stop();
      folder.remove();
    }
  });
});
