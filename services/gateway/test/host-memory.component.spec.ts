import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { waitUntil } from '@thalamus/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { adminAnswers } from '../src/adapters/http/admin-schemas.js';
import { GatewayUnderTest, KEYS } from './support/gateway-under-test.js';

const HOSTS = '/admin/v1/hosts';
const STARTED = Date.UTC(2026, 0, 2, 3, 4, 5);
const USED = Date.UTC(2026, 0, 2, 4);

let gateway: GatewayUnderTest;
beforeAll(async () => {
  gateway = await GatewayUnderTest.start();
});
afterAll(() => gateway.stop());

const memory = {
  limitBytes: 1_000n,
  ownBytes: 250n,
  sharedBytes: 400n,
  loadsWaiting: 2,
  runsWaiting: 3,
  restarts: 4n,
  recycles: 5n,
  evictions: 6n,
  processes: [
    { name: 'base@1', pid: 77, openBytes: 400n, residentBytes: 900n },
    { name: 'private@1', pid: 78, openBytes: 250n, residentBytes: 700n },
  ],
  spareBytes: 8n,
  startedAt: timestampFromMs(STARTED),
};

async function hosts(key?: string) {
  const answer = await gateway.admin('GET', HOSTS, undefined, key === undefined ? 'viewer' : { key });
  expect(answer.status).toBe(200);
  return adminAnswers.hosts.parse(answer.body).data;
}
const first = async (key?: string) => (await hosts(key)).find(({ id }) => id === 'host-1');

describe('what hosts keep in memory', () => {
  it('is empty of figures for a host that says none, with the versions that it serves', async () => {
    const host = await first();
    expect(host).toMatchObject({ address: gateway.hostAddress, memory: null, hidden: 0 });
    expect(host?.versions.map(({ expert, version, state }) => `${expert}@${version} ${state}`)).toEqual([
      'banking@1 ready',
      'banking@2 ready',
      'base@1 ready',
      'clinic@1 ready',
      'private@1 ready',
    ]);
    expect(host?.versions[0]).toMatchObject({ lastUsedAt: null, process: '', priority: 0, isPinned: false });
  });

  it('is what the host says, for those who run the mesh', async () => {
    await gateway.keep(memory);
    await gateway.reside('banking', '2', {
      more: {
        memoryBytes: 500n,
        ownBytes: 100n,
        pinned: true,
        priority: -3,
        lastUsedAt: timestampFromMs(USED),
        process: 'base@1',
      },
    });
    await gateway.reside('cold', '1', { state: 'registered', more: { waiting: 2 } });
    await gateway.reside('clinic', '1', { state: 'failed', more: { errorCode: 'GRAPH_INVALID' } });
    await waitUntil('the failure is known', async () =>
      (await first())?.versions.some(({ errorCode }) => errorCode === 'GRAPH_INVALID'),
    );
    const host = await first();
    expect(host?.memory).toEqual({
      limitBytes: 1_000,
      ownBytes: 250,
      sharedBytes: 400,
      loadsWaiting: 2,
      runsWaiting: 3,
      restarts: 4,
      recycles: 5,
      evictions: 6,
      processes: [
        { name: 'base@1', pid: 77, openBytes: 400, residentBytes: 900 },
        { name: 'private@1', pid: 78, openBytes: 250, residentBytes: 700 },
      ],
      spareBytes: 8,
      startedAt: new Date(STARTED).toISOString(),
    });
    const version = (name: string, number: string) =>
      host?.versions.find((item) => item.expert === name && item.version === number);
    expect(version('banking', '2')).toEqual({
      expert: 'banking',
      version: '2',
      state: 'ready',
      memoryBytes: 500,
      ownBytes: 100,
      isPinned: true,
      priority: -3,
      lastUsedAt: new Date(USED).toISOString(),
      process: 'base@1',
      waiting: 0,
      errorCode: '',
    });
    expect(version('cold', '1')).toMatchObject({ state: 'registered', waiting: 2, memoryBytes: 0 });
    expect(version('clinic', '1')).toMatchObject({ state: 'failed', errorCode: 'GRAPH_INVALID' });
  });

  it('names no expert that the caller may not use', async () => {
    await gateway.keep(memory);
    await waitUntil('the figures are known', async () => (await first())?.memory !== null);
    const host = await first(KEYS.acme.key);
    expect(host?.versions.map(({ expert }) => expert)).not.toContain('private');
    expect(host?.hidden).toBe(1);
    expect(JSON.stringify(host)).not.toContain('private');
    // The totals are of everything.
    expect(host?.memory).toMatchObject({ ownBytes: 250, sharedBytes: 400 });
    const theirs = await first(KEYS.globex.key);
    expect(theirs?.versions.map(({ expert }) => expert)).toContain('private');
    expect(theirs?.hidden).toBe(0);
  });

  it('shows each host, one without experts too, until its lease has lapsed', async () => {
    const idle = { hostId: 'host-2', address: '127.0.0.1:9' };
    await gateway.keep({ limitBytes: 10n }, idle);
    await waitUntil('the idle host is known', async () => (await hosts()).length === 2);
    const added = (await hosts()).find(({ id }) => id === 'host-2');
    expect(added).toMatchObject({ versions: [], memory: { limitBytes: 10, ownBytes: 0, startedAt: null } });
    await gateway.keep({ limitBytes: 10n }, { ...idle, leaseMs: -1 });
    await waitUntil('the idle host is gone', async () => (await hosts()).length === 1);
  });

  it('is for keys alone', async () => {
    const response = await gateway.fetch(HOSTS, { key: 'thk_000000000000_wrong' });
    expect(response.status).toBe(401);
  });
});

describe('the experts page', () => {
  it('says why a version could not be loaded', async () => {
    await gateway.reside('clinic', '1', { state: 'failed', more: { errorCode: 'BUNDLE_INVALID' } });
    await waitUntil('the failure is known', async () => {
      const { body } = await gateway.admin('GET', '/admin/v1/experts');
      const clinic = adminAnswers.experts.parse(body).data.find(({ name }) => name === 'clinic');
      return clinic?.versions[0]?.residents.some(({ errorCode }) => errorCode === 'BUNDLE_INVALID');
    });
  });
});
