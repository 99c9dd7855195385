import { artifactV1, releaseV1 } from '@thalamus/contracts';
import { createClient, type RpcClient } from '@thalamus/grpc';
import { RemoteArtifactStore } from '@thalamus/registry';
import { waitUntil } from '@thalamus/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { adminAnswers } from '../src/adapters/http/admin-schemas.js';
import { ChatUpstreamServer } from './support/chat-upstream.js';
import { GatewayUnderTest, KEYS, ROLE_KEYS } from './support/gateway-under-test.js';

/** A canary that nobody but people ends. */
const STEPS = { steps: [1], stepSeconds: 3_600, mirrorShare: 0 };
const PLAN = { ...STEPS, overrideReason: 'tested by hand' };
const ITEMS = 400;

let gateway: GatewayUnderTest;
let upstream: ChatUpstreamServer;
let updater: RpcClient<typeof releaseV1.ReleaseService>;
let artifacts: RpcClient<typeof artifactV1.ArtifactService>;
beforeAll(async () => {
  upstream = await ChatUpstreamServer.start();
  gateway = await GatewayUnderTest.start({}, { updater: true });
  const options = { address: gateway.updaterAddress, defaultDeadlineMs: 10_000 };
  updater = createClient(releaseV1.ReleaseService, options);
  artifacts = createClient(artifactV1.ArtifactService, options);
  for (const name of ['talker', 'writer', 'theirs'])
    for (const version of ['1', '2']) {
      const body = {
        ...{ name, description: 'Talks.', baseUrl: upstream.baseUrl, model: `${name}-${version}`, version },
        ...{ prices: { inputUsdPerMtok: 0, outputUsdPerMtok: 0 } },
        tenants: name === 'theirs' ? ['globex'] : [],
      };
      expect((await gateway.admin('POST', '/admin/v1/experts', body)).status).toBe(201);
    }
});
afterAll(async () => {
  updater.close();
  artifacts.close();
  await gateway.stop();
  await upstream.stop();
});

type Who = Parameters<GatewayUnderTest['admin']>[3];
const get = (path: string, who: Who = 'viewer') =>
  gateway.admin('GET', `/admin/v1/releases${path}`, undefined, who);
const move = (
  id: string,
  how: 'advance' | 'approve' | 'promote' | 'rollback',
  reason: unknown,
  who: Who = 'operator',
) => gateway.admin('POST', `/admin/v1/releases/${id}/${how}`, { reason }, who);
const codeOf = ({ body }: { readonly body: Record<string, unknown> }) =>
  (body['error'] as { readonly code: string } | undefined)?.code;

/** What a poller is told, of a release or of the newest one of a version. */
const verdictAt = async (path: string) =>
  adminAnswers.verdict.strict().parse((await gateway.admin('GET', `/admin/v1/${path}`)).body);

/** Begins a release, and resolves with its id once the gateway goes by it. */
async function begin(expert: string, more: object = {}): Promise<string> {
  const { release } = await updater.start({ expert, toVersion: '2', ...PLAN, ...more });
  const id = release?.id ?? '';
  await waitUntil(`${id} is in canary`, async () => {
    const found = adminAnswers.release.parse((await get(`/${id}`, 'admin')).body);
    return found.state === 'canary' && found.gateway !== null;
  });
  return id;
}

/** Status, version and channel of a chat. */
async function chat(model: string, key = KEYS.acme.key) {
  const messages = [{ role: 'user', content: 'Hello' }];
  const response = await gateway.post('/v1/chat/completions', { model, messages }, { key });
  await response.arrayBuffer();
  const { status, headers } = response;
  return [status, headers.get('x-thalamus-version'), headers.get('x-thalamus-channel')];
}

describe('a release of the updater', () => {
  it('gives callers its candidate, is shown with its plan and history, and is taken back at once', async () => {
    expect(await chat('talker')).toEqual([200, '1', null]);
    const id = await begin('talker');
    expect(await chat('talker')).toEqual([200, '2', 'candidate']);
    const { data } = adminAnswers.releases.parse((await get('')).body);
    expect(data.map((release) => [release.id, release.state])).toEqual([[id, 'canary']]);
    const shown = adminAnswers.release.parse((await get(`/${id}`)).body);
    expect(shown).toMatchObject({
      ...{ expert: 'talker', fromVersion: '1', toVersion: '2', weight: 1, comparison: null, step: 1 },
      plan: { steps: [1], stepSeconds: 3_600, mirrorShare: 0 },
      gateway: { weight: 1, mirrorShare: 0 },
    });
    expect(Date.parse(shown.gateway?.leaseEndsAt ?? '')).toBeGreaterThan(Date.now());
    expect(shown.history.map(({ state }) => state)).toEqual(['draft', 'canary']);
    const answered = await waitUntil('its evidence is shown', async () => {
      const { live } = adminAnswers.release.parse((await get(`/${id}`)).body);
      return (live?.candidateRequests ?? 0) > 0 ? live : undefined;
    });
    expect(answered.tests.map(({ test }) => test)).toContain('canary.errors');

    const taken = adminAnswers.release.parse((await move(id, 'rollback', 'It is rude.')).body);
    expect(taken).toMatchObject({ id, state: 'rolled_back' });
    expect(taken.history.at(-1)).toMatchObject({
      ...{ state: 'rolled_back', reason: 'It is rude.', by: ROLE_KEYS.operator.minted.id },
    });
    await waitUntil('the gateway goes by it', async () => {
      const [status, version] = await chat('talker');
      expect(status).toBe(200);
      return version === '1';
    });
    expect(await chat('talker')).toEqual([200, '1', null]);
    expect(codeOf(await move(id, 'promote', 'Once more.'))).toBe('RELEASE_CONFLICT');
  });

  it('is promoted by hand', async () => {
    const id = await begin('writer');
    const promoted = adminAnswers.release.parse((await move(id, 'promote', 'Good enough.')).body);
    expect(promoted).toMatchObject({ id, state: 'stable', gateway: null });
    expect(await chat('writer')).toEqual([200, '2', null]);
    const { data } = adminAnswers.releases.parse((await get('?expert=writer')).body);
    expect(data.map((release) => release.id)).toEqual([id]);
    const page = adminAnswers.releases.parse((await get('?limit=1')).body);
    expect([page.data.length, page.nextPageToken]).toEqual([1, id]);
    const next = adminAnswers.releases.parse((await get(`?limit=1&after=${id}`)).body);
    expect(next.data.map(({ expert }) => expert)).toEqual(['talker']);
  });

  it('shows the items that flipped offline, of as many as were asked for', async () => {
    const store = new RemoteArtifactStore(artifacts);
    const file = async (wrong: readonly number[]) => {
      const rows = Array.from({ length: ITEMS }, (_, index) => ({
        ...{ id: `item-${index}`, label: 'yes', prediction: wrong.includes(index) ? 'no' : 'yes' },
      }));
      return (await store.put(Buffer.from(rows.map((row) => JSON.stringify(row)).join('\n')))).digest;
    };
    const digests = { oldDigest: await file([1, 2]), newDigest: await file([7]) };
    const { release } = await updater.start({ expert: 'talker', toVersion: '2', ...PLAN, ...digests });
    const id = release?.id ?? '';
    const shown = adminAnswers.release.parse((await get(`/${id}`)).body);
    expect(shown.comparison).toMatchObject({ overall: { n: ITEMS, negativeFlips: { count: 1 } } });
    expect((await verdictAt(`releases/${id}/verdict`)).nfr).toMatchObject({ value: 1 / ITEMS });
    // Nobody asked for the expert since.
    expect(adminAnswers.readings.parse((await get(`/${id}/readings`)).body)).toMatchObject({ release: id });
    const flips = adminAnswers.flips.parse((await get(`/${id}/flips?limit=2`)).body);
    expect(flips).toMatchObject({ release: id, total: 3 });
    expect(flips.data).toHaveLength(2);
    expect(flips.data[0]).toEqual({
      ...{ id: 'item-7', negative: true, label: 'yes', oldPrediction: 'yes', newPrediction: 'no' },
    });
    expect(await move(id, 'rollback', 'Done.')).toMatchObject({ status: 200 });
    const [before] = adminAnswers.releases.parse((await get('?expert=writer')).body).data;
    expect(adminAnswers.flips.parse((await get(`/${before?.id}/flips`)).body)).toMatchObject({
      ...{ digest: null, total: 0, data: [] },
    });
  });

  it('tells pollers its verdict, by its id and by the version, and is moved on step by step', async () => {
    const plan = { steps: [0.5, 1], toVersion: '3' };
    const version = { name: 'stepper', description: 'Talks.', baseUrl: upstream.baseUrl, model: 'stepper' };
    const prices = { inputUsdPerMtok: 0, outputUsdPerMtok: 0 };
    for (const number of ['1', '2', '3'])
      await gateway.admin('POST', '/admin/v1/experts', { ...version, prices, version: number });
    const first = await begin('stepper');
    await move(first, 'rollback', 'It is rude.');
    expect(await verdictAt(`releases/${first}/verdict`)).toMatchObject({
      ...{ release: first, expert: 'stepper', from: '1', to: '2', state: 'rolled_back' },
      ...{ verdict: 'incompatible', reason: 'Taken back: It is rude.', nfr: null, samples: 0, tests: [] },
    });
    const id = await begin('stepper', plan);
    const path = 'experts/stepper/versions/3/verdict';
    const begun = await verdictAt(path);
    expect(begun).toMatchObject({
      release: id,
      state: 'canary',
      verdict: 'inconclusive',
      step: 1,
      weight: 0.5,
    });
    expect(begun.reason).not.toBe('');
    expect(begun.tests.map(({ test }) => test)).toContain('canary.errors');
    expect(codeOf(await move(id, 'advance', 'On.', 'viewer'))).toBe('PERMISSION_DENIED');
    const advanced = adminAnswers.release.parse((await move(id, 'advance', 'On.')).body);
    expect(advanced).toMatchObject({ id, state: 'canary', step: 2, weight: 1 });
    expect(advanced.history.at(-1)).toMatchObject({ reason: 'On.', by: ROLE_KEYS.operator.minted.id });
    expect(await move(id, 'advance', 'Done.')).toMatchObject({ status: 200, body: { state: 'stable' } });
    expect(await verdictAt(path)).toMatchObject({ verdict: 'compatible', reason: 'Promoted: Done.' });
    expect(codeOf(await move(id, 'advance', 'On.'))).toBe('RELEASE_CONFLICT');
    expect(await verdictAt('experts/stepper/versions/2/verdict')).toMatchObject({ release: first });
    const unknown = await gateway.admin('GET', '/admin/v1/experts/stepper/versions/4/verdict');
    expect(codeOf(unknown)).toBe('RESOURCE_NOT_FOUND');
  });

  it('with a gate shows its rules, and goes on when as many keys as a rule asks for have approved', async () => {
    const store = new RemoteArtifactStore(artifacts);
    const rows = Array.from({ length: 50 }, (_, id) =>
      JSON.stringify({ id: String(id), label: 'yes', prediction: 'yes' }),
    );
    const { digest } = await store.put(Buffer.from(rows.join('\n')));
    const gate = Buffer.from(
      'version: 1\nname: strict\nrules:\n  - { name: flips, measure: nfr, data: offline, threshold: 0.01, minimumSamples: 300, approvals: 2 }\n',
    );
    const files = { oldDigest: digest, newDigest: digest };
    const { release } = await updater.start({ expert: 'talker', toVersion: '2', ...STEPS, ...files, gate });
    const id = release?.id ?? '';
    const shown = adminAnswers.release.parse((await get(`/${id}`)).body);
    expect(shown.stopped).toContain('50 items of all items are too few');
    expect(shown.gate).toMatchObject({
      ...{ name: 'strict', digest: release?.gate?.digest, approvals: [] },
      rules: [{ rule: 'flips', status: 'inconclusive', threshold: 0.01, approvals: 2, value: null }],
    });
    expect(codeOf(await move(id, 'approve', 'Enough.', 'viewer'))).toBe('PERMISSION_DENIED');
    for (const reason of ['Enough.', 'Once more.']) {
      const once = adminAnswers.release.parse((await move(id, 'approve', reason)).body);
      expect(once.gate?.approvals.map(({ by }) => by)).toEqual([ROLE_KEYS.operator.minted.id]);
      expect(once.stopped).toContain('1 more can approve it');
    }
    const twice = adminAnswers.release.parse((await move(id, 'approve', 'Enough.', 'admin')).body);
    expect(twice).toMatchObject({ stopped: '', gate: { rules: [{ status: 'passed' }] } });
    await waitUntil('it goes on', async () => (await get(`/${id}`)).body['state'] === 'canary');
    expect(codeOf(await move(id, 'approve', 'Why not.'))).toBe('RELEASE_CONFLICT');
    await move(id, 'rollback', 'Done.');
  });

  it('of an expert of some tenants is theirs to see, and to move by who runs the mesh', async () => {
    const id = await begin('theirs');
    expect(await chat('theirs', KEYS.globex.key)).toEqual([200, '2', 'candidate']);
    expect((await get(`/${id}`, { key: KEYS.globex.key })).status).toBe(200);
    const [acme, acmeOperator] = [{ key: KEYS.acme.key }, 'acmeOperator'] as const;
    expect(codeOf(await get(`/${id}`, acme))).toBe('RESOURCE_NOT_FOUND');
    expect(codeOf(await get(`/${id}/flips`, acme))).toBe('RESOURCE_NOT_FOUND');
    expect(codeOf(await get(`/${id}/readings`, acme))).toBe('RESOURCE_NOT_FOUND');
    const verdict = await gateway.admin(
      'GET',
      '/admin/v1/experts/theirs/versions/2/verdict',
      undefined,
      acme,
    );
    expect(codeOf(verdict)).toBe('RESOURCE_NOT_FOUND');
    expect(adminAnswers.releases.parse((await get('?expert=theirs', acme)).body).data).toEqual([]);
    expect(codeOf(await move(id, 'rollback', 'Mine.', acmeOperator))).toBe('RESOURCE_NOT_FOUND');
    const [talker] = adminAnswers.releases.parse((await get('?expert=talker')).body).data;
    expect(codeOf(await move(talker?.id ?? '', 'rollback', 'Mine.', acmeOperator))).toBe('PERMISSION_DENIED');
    expect(codeOf(await move(id, 'rollback', 'Mine.', { key: KEYS.globex.key }))).toBe('PERMISSION_DENIED');
  });

  it.each([
    ['no reason', 'POST', '/none/rollback', {}, 'REQUEST_INVALID'],
    ['an empty reason', 'POST', '/none/promote', { reason: ' ' }, 'REQUEST_INVALID'],
    ['a reason that is no text', 'POST', '/none/promote', { reason: 7 }, 'REQUEST_INVALID'],
    ['a field that nobody knows', 'POST', '/none/rollback', { reason: 'x', force: true }, 'REQUEST_INVALID'],
    ['an unknown release', 'POST', '/none/rollback', { reason: 'x' }, 'RESOURCE_NOT_FOUND'],
    ['no reason', 'POST', '/none/advance', {}, 'REQUEST_INVALID'],
    ['no reason', 'POST', '/none/approve', {}, 'REQUEST_INVALID'],
    ['an unknown release', 'POST', '/none/approve', { reason: 'x' }, 'RESOURCE_NOT_FOUND'],
    ['an unknown release', 'GET', '/none/verdict', undefined, 'RESOURCE_NOT_FOUND'],
    ['an unknown release', 'GET', '/none', undefined, 'RESOURCE_NOT_FOUND'],
    ['too many', 'GET', '?limit=101', undefined, 'REQUEST_INVALID'],
    ['a page of nobody', 'GET', '?after=none', undefined, 'REQUEST_INVALID'],
    ['a query that nobody knows', 'GET', '?state=canary', undefined, 'REQUEST_INVALID'],
  ])('refuses %s: %s %s', async (_, method, path, body, code) => {
    expect(codeOf(await gateway.admin(method, `/admin/v1/releases${path}`, body))).toBe(code);
  });
});
