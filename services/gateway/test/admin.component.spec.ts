import { TOPICS } from '@thalamus/contracts';
import { decodeEvent, EmbeddedEventBus } from '@thalamus/events';
import { waitUntil } from '@thalamus/testing';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { adminAnswers } from '../src/adapters/http/admin-schemas.js';
import { ChatUpstreamServer } from './support/chat-upstream.js';
import { GatewayUnderTest, KEYS, ROLE_KEYS } from './support/gateway-under-test.js';

let gateway: GatewayUnderTest;
let upstream: ChatUpstreamServer;
beforeAll(async () => {
  upstream = await ChatUpstreamServer.start();
  gateway = await GatewayUnderTest.start({}, { updater: true });
});
afterAll(async () => {
  await gateway.stop();
  await upstream.stop();
});

const EXPERTS = '/admin/v1/experts';
const remote = (name: string, change: Record<string, unknown> = {}) => ({
  name,
  description: 'A chat model for tests.',
  baseUrl: upstream.baseUrl,
  model: 'their-model',
  prices: { inputUsdPerMtok: 1, outputUsdPerMtok: 2 },
  ...change,
});
const codeOf = ({ body }: { body: Record<string, unknown> }) => (body['error'] as { code: string }).code;
const paramOf = ({ body }: { body: Record<string, unknown> }) =>
  (body['error'] as { param: string | null }).param;
const messageOf = ({ body }: { body: Record<string, unknown> }) =>
  (body['error'] as { message: string }).message;

/** An expert as the list has it. */
async function listed(name: string) {
  const answer = await gateway.admin('GET', EXPERTS);
  return adminAnswers.experts.parse(answer.body).data.find((expert) => expert.name === name);
}

describe('remote experts', () => {
  it('are registered, answer chat at once, get versions, change channels and are removed', async () => {
    const made = await gateway.admin('POST', EXPERTS, remote('parrot'), 'operator');
    expect({ status: made.status, ...adminAnswers.registered.parse(made.body) }).toMatchObject({
      status: 201,
      name: 'parrot',
      version: '1',
      stable: '1',
    });
    const chat = await gateway.post('/v1/chat/completions', {
      model: 'parrot',
      messages: [{ role: 'user', content: 'hi' }],
    });
    expect({ status: chat.status, version: chat.headers.get('x-thalamus-version') }).toEqual({
      status: 200,
      version: '1',
    });
    const second = await gateway.admin('POST', EXPERTS, remote('parrot', { model: 'newer' }), 'operator');
    expect(second.body).toMatchObject({ version: '2', stable: '1' });
    const moved = await gateway.admin(
      'POST',
      `${EXPERTS}/parrot/channels`,
      { channel: 'candidate', version: '2' },
      'operator',
    );
    expect(adminAnswers.channel.parse(moved.body)).toMatchObject({ channel: 'candidate', version: '2' });
    const promoted = await gateway.admin(
      'POST',
      `${EXPERTS}/parrot/channels`,
      { channel: 'stable', version: '2', reason: 'better on our questions' },
      'operator',
    );
    expect(promoted.status).toBe(200);
    const now = await listed('parrot');
    expect(now).toMatchObject({ stable: '2', tenants: [], revision: promoted.body['revision'] });
    expect(now?.versions.map(({ version, channels }) => [version, channels])).toEqual([
      ['2', ['stable']],
      ['1', []],
    ]);
    const gone = await gateway.admin('DELETE', `${EXPERTS}/parrot`, undefined, 'operator');
    expect(adminAnswers.removed.parse(gone.body)).toMatchObject({ name: 'parrot', deleted: true });
    expect(await listed('parrot')).toBeUndefined();
  });

  it('changes tell the audit which key made them, of which tenant, and why', async () => {
    await gateway.admin('POST', EXPERTS, remote('audited'), 'operator');
    await gateway.admin(
      'POST',
      `${EXPERTS}/audited/channels`,
      {
        channel: 'stable',
        version: '1',
        reason: 'only a test',
        expectedRevision: (await listed('audited'))?.revision,
      },
      'operator',
    );
    const { id } = ROLE_KEYS.operator.minted;
    const seen = await waitUntil('the audit has the promotion', async () => {
      const found = (await audit()).filter(({ subject }) => subject.endsWith('/audited'));
      return found.some(({ action }) => action === 'release.Promote') ? found : undefined;
    });
    expect(seen.map(({ actor, tenant, action, reason }) => ({ actor, tenant, action, reason }))).toEqual([
      { actor: id, tenant: 'default', action: 'registry.RegisterVersion', reason: '' },
      { actor: id, tenant: 'default', action: 'release.Promote', reason: 'only a test' },
    ]);
  });

  it.each([
    ['an unknown field', { colour: 'red' }, 'REQUEST_INVALID', 'colour'],
    ['a name that is none', { name: 'Not A Name' }, 'REQUEST_INVALID', 'name'],
    ['an address that is none', { baseUrl: 'ftp://x.example' }, 'REQUEST_INVALID', 'baseUrl'],
    ['a private address', { baseUrl: 'http://10.0.0.1/v1' }, 'PERMISSION_DENIED', null],
    ['the metadata service', { baseUrl: 'http://169.254.169.254/v1' }, 'PERMISSION_DENIED', null],
    [
      'an address with a password',
      { baseUrl: 'https://me:secret@llm.example.com/v1' },
      'CONFIG_INVALID',
      null,
    ],
    ['a key in the place of its name', { keyReference: 'sk-secret' }, 'REQUEST_INVALID', 'keyReference'],
    ['another secret of the process', { keyReference: 'env:AWS_SECRET' }, 'REQUEST_INVALID', 'keyReference'],
    [
      'a price below zero',
      { prices: { inputUsdPerMtok: -1, outputUsdPerMtok: 0 } },
      'REQUEST_INVALID',
      'prices.inputUsdPerMtok',
    ],
    ['the name of another kind of expert', { name: 'banking' }, 'REQUEST_INVALID', null],
  ])('with %s are refused', async (_what, change, code, param) => {
    const answer = await gateway.admin('POST', EXPERTS, remote('refused', change), 'operator');
    expect({ code: codeOf(answer), param: paramOf(answer) }).toEqual({ code, param });
    expect(JSON.stringify(answer.body)).not.toContain('secret');
    expect(await listed('refused')).toBeUndefined();
  });

  it('the same version with other content, or a stale revision, is a conflict', async () => {
    const made = await gateway.admin('POST', EXPERTS, remote('rival', { version: '1' }));
    expect(made.status).toBe(201);
    const other = await gateway.admin('POST', EXPERTS, remote('rival', { version: '1', model: 'other' }));
    expect({ status: other.status, code: codeOf(other) }).toEqual({ status: 409, code: 'REVISION_CONFLICT' });
    const path = `${EXPERTS}/rival/channels`;
    const stale = { channel: 'shadow', version: '1', expectedRevision: 1 };
    expect(codeOf(await gateway.admin('POST', path, stale))).toBe('REVISION_CONFLICT');
    expect(codeOf(await gateway.admin('DELETE', `${EXPERTS}/rival?expectedRevision=1`))).toBe(
      'REVISION_CONFLICT',
    );
    expect(codeOf(await gateway.admin('DELETE', `${EXPERTS}/rival?expected=1`))).toBe('REQUEST_INVALID');
    const revision = (await listed('rival'))?.revision;
    expect((await gateway.admin('DELETE', `${EXPERTS}/rival?expectedRevision=${revision}`)).status).toBe(200);
  });

  it('a promotion without a reason, or of what is not there, is refused', async () => {
    const path = `${EXPERTS}/banking/channels`;
    const silent = await gateway.admin('POST', path, { channel: 'stable', version: '1' });
    expect({ code: codeOf(silent), param: paramOf(silent) }).toEqual({
      code: 'REQUEST_INVALID',
      param: 'reason',
    });
    const clear = await gateway.admin('POST', path, { channel: 'stable', version: '', reason: 'x' });
    expect(paramOf(clear)).toBe('version');
    const missing = { channel: 'stable', version: '9', reason: 'x' };
    expect(codeOf(await gateway.admin('POST', path, missing))).toBe('EXPERT_NOT_FOUND');
    const nowhere = await gateway.admin('POST', `${EXPERTS}/nowhere/channels`, missing);
    expect(codeOf(nowhere)).toBe('EXPERT_NOT_FOUND');
    expect((await listed('banking'))?.stable).toBe('2');
  });

  it('a viewer promotes nothing', async () => {
    const change = { channel: 'stable', version: '1', reason: 'I want to' };
    const answer = await gateway.admin('POST', `${EXPERTS}/banking/channels`, change, 'viewer');
    expect({ status: answer.status, code: codeOf(answer) }).toEqual({
      status: 403,
      code: 'PERMISSION_DENIED',
    });
    expect(messageOf(answer)).toContain('operator');
    expect((await listed('banking'))?.stable).toBe('2');
  });
});

describe('tenants', () => {
  it('an operator of another tenant registers for that tenant alone, and touches nothing else', async () => {
    const made = await gateway.admin('POST', EXPERTS, remote('acme-chat'), 'acmeOperator');
    expect(made.status).toBe(201);
    expect((await listed('acme-chat'))?.tenants).toBeUndefined();
    const { body } = await gateway.admin('GET', EXPERTS, undefined, 'acmeOperator');
    const own = adminAnswers.experts.parse(body).data.find(({ name }) => name === 'acme-chat');
    expect(own?.tenants).toEqual(['acme']);
    const forOthers = await gateway.admin(
      'POST',
      EXPERTS,
      remote('x', { tenants: ['globex'] }),
      'acmeOperator',
    );
    expect(codeOf(forOthers)).toBe('PERMISSION_DENIED');
    const shared = await gateway.admin('DELETE', `${EXPERTS}/banking`, undefined, 'acmeOperator');
    expect(codeOf(shared)).toBe('PERMISSION_DENIED');
    const hidden = await gateway.admin('DELETE', `${EXPERTS}/private`, undefined, 'acmeOperator');
    expect(codeOf(hidden)).toBe('EXPERT_NOT_FOUND');
    const taken = await gateway.admin('POST', EXPERTS, remote('banking'), 'acmeOperator');
    expect(codeOf(taken)).toBe('PERMISSION_DENIED');
  });

  it('an administrator of another tenant sees its keys and policy alone, and lifts no limit', async () => {
    const keys = await gateway.admin('GET', '/admin/v1/keys', undefined, 'acmeAdmin');
    expect(new Set(adminAnswers.keys.parse(keys.body).data.map(({ tenant }) => tenant))).toEqual(
      new Set(['acme']),
    );
    const { status } = await gateway.admin(
      'DELETE',
      `/admin/v1/keys/${KEYS.globex.id}`,
      undefined,
      'acmeAdmin',
    );
    expect(status).toBe(404);
    const wish = { tenant: 'default', role: 'admin' };
    expect(codeOf(await gateway.admin('POST', '/admin/v1/keys', wish, 'acmeAdmin'))).toBe(
      'PERMISSION_DENIED',
    );
    const lifted = await gateway.admin('PUT', '/admin/v1/policies/acme', {}, 'acmeAdmin');
    expect(codeOf(lifted)).toBe('PERMISSION_DENIED');
    const foreign = await gateway.admin('GET', '/admin/v1/policies/strict', undefined, 'acmeAdmin');
    expect(codeOf(foreign)).toBe('RESOURCE_NOT_FOUND');
  });
});

describe('keys', () => {
  it('are made with a secret that is shown once, work at once, and stop when they are revoked', async () => {
    const made = await gateway.admin('POST', '/admin/v1/keys', {
      tenant: 'acme',
      role: 'viewer',
      description: 'ci',
    });
    expect({ status: made.status, cache: made.headers.get('cache-control') }).toEqual({
      status: 201,
      cache: 'no-store',
    });
    const { id, secret } = adminAnswers.createdKey.parse(made.body);
    const use = () => gateway.fetch('/v1/models', { key: secret });
    expect((await use()).status).toBe(200);
    const list = await gateway.admin('GET', '/admin/v1/keys');
    const all = adminAnswers.keys.parse(list.body).data;
    expect(all.find((key) => key.id === id)).toMatchObject({
      tenant: 'acme',
      role: 'viewer',
      revokedAt: null,
    });
    expect(JSON.stringify(list.body)).not.toMatch(/secret|sha256/i);
    const revoked = await gateway.admin('DELETE', `/admin/v1/keys/${id}`);
    expect(adminAnswers.key.parse(revoked.body).revokedAt).not.toBeNull();
    expect((await use()).status).toBe(401);
  });

  it.each([
    ['no role', { tenant: 'acme' }, 'role'],
    ['a role that is none', { tenant: 'acme', role: 'owner' }, 'role'],
    ['a tenant that is none', { tenant: 'Acme!', role: 'viewer' }, 'tenant'],
    ['an unknown field', { role: 'viewer', secret: 'mine' }, 'secret'],
  ])('with %s are refused', async (_what, wish, param) => {
    const answer = await gateway.admin('POST', '/admin/v1/keys', wish);
    expect({ code: codeOf(answer), param: paramOf(answer) }).toEqual({ code: 'REQUEST_INVALID', param });
  });
});

describe('policies', () => {
  it('are stored with the revision that was read, and hold at once', async () => {
    const path = '/admin/v1/policies/globex';
    expect(codeOf(await gateway.admin('GET', path))).toBe('RESOURCE_NOT_FOUND');
    const wish = {
      allowedExperts: ['clinic'],
      maxParameters: 5e9,
      defaultWeights: { size: 0.5 },
      onlineCorrection: 'frozen',
    };
    const stored = await gateway.admin('PUT', path, { ...wish, expectedRevision: 0 });
    expect(adminAnswers.policy.parse(stored.body)).toMatchObject({
      ...wish,
      tenant: 'globex',
      updatedBy: ROLE_KEYS.admin.minted.id,
    });
    expect((await gateway.admin('GET', path)).body).toEqual(stored.body);
    const listedPolicies = await gateway.admin('GET', '/admin/v1/policies');
    const tenants = adminAnswers.policies.parse(listedPolicies.body).data.map(({ tenant }) => tenant);
    expect(tenants).toEqual(expect.arrayContaining(['globex', 'strict']));
    const again = await gateway.admin('PUT', path, { ...wish, expectedRevision: 0 });
    expect(codeOf(again)).toBe('REVISION_CONFLICT');
    const forbidden = await gateway.post(
      '/v1/classifications',
      { input: 'x', model: 'banking' },
      { key: KEYS.globex.key },
    );
    expect(forbidden.status).toBe(403);
  });

  it('keep a bound on the risk and what may be explored, and show both', async () => {
    const path = '/admin/v1/policies/hooli';
    const risk = { alpha: 0.02, delta: 0.1 };
    const exploration = { epsilon: 0.1, pool: 3, within: 0.05 };
    expect((await gateway.admin('PUT', path, { risk, exploration })).body).toMatchObject({ risk });
    expect((await gateway.admin('GET', path)).body).toMatchObject({ risk, exploration });
    expect((await gateway.admin('PUT', path, {})).body).toMatchObject({ risk: null, exploration: null });
  });

  it('of default reset what outcomes have taught, for all tenants', async () => {
    const path = '/admin/v1/policies/default';
    const stored = await gateway.admin('PUT', path, { correctionsResetAt: '2026-01-31T12:00:00.500Z' });
    expect(adminAnswers.policy.parse(stored.body)).toMatchObject({
      onlineCorrection: 'on',
      correctionsResetAt: '2026-01-31T12:00:00.500Z',
    });
    expect((await gateway.admin('PUT', path, {})).body).toMatchObject({ correctionsResetAt: null });
  });

  it.each([
    ['an unknown field', { budget: 3 }, 'budget'],
    ['a correction that is none', { onlineCorrection: 'paused' }, 'onlineCorrection'],
    ['a reset that is no moment', { correctionsResetAt: 'now' }, 'correctionsResetAt'],
    ['a reset for one tenant', { correctionsResetAt: '2026-01-31T12:00:00Z' }, 'policy.corrections_reset_at'],
    ['a flag that is none', { defaultWeights: { colour: 1 } }, 'defaultWeights.colour'],
    ['trust above one', { minTrust: 2 }, 'minTrust'],
    ['exploration of nobody', { exploration: { epsilon: 0.1, pool: 0, within: 0 } }, 'exploration.pool'],
    ['a bound on the risk that is certain to fail', { risk: { alpha: 0.1, delta: 1 } }, 'risk.delta'],
    ['an expert that is not there', { fallbackExpert: 'nobody' }, 'policy'],
  ])('with %s are refused', async (_what, wish, param) => {
    const answer = await gateway.admin('PUT', '/admin/v1/policies/initech', wish);
    expect({ code: codeOf(answer), param: paramOf(answer) }).toEqual({ code: 'REQUEST_INVALID', param });
  });
});

async function audit() {
  const bus = new EmbeddedEventBus({ file: join(gateway.folder, 'events.sqlite') });
  await bus.start();
  const found: { actor: string; tenant: string; action: string; subject: string; reason: string }[] = [];
  const follower = await bus.follow({
    topic: TOPICS.auditRecorded.name,
    onRecord: (record) => {
      const event = decodeEvent(TOPICS.auditRecorded, record);
      if (event) found.push(event);
    },
  });
  await follower.caughtUp;
  await bus.close();
  return found;
}
