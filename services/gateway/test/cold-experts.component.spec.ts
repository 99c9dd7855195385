import { ThalamusError } from '@thalamus/errors';
import { waitUntil } from '@thalamus/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { adminAnswers } from '../src/adapters/http/admin-schemas.js';
import { answers } from '../src/adapters/http/answer-schemas.js';
import { CLASSIFY } from './support/bad-input-cases.js';
import { decision } from './support/fake-services.js';
import { GatewayUnderTest } from './support/gateway-under-test.js';

const TASK = 'text-classification';

let gateway: GatewayUnderTest;
beforeAll(async () => {
  gateway = await GatewayUnderTest.start();
});
afterEach(() => {
  gateway.host.reset();
  gateway.router.reset();
});
afterAll(() => gateway.stop());

const ask = async (body: Record<string, unknown>) => {
  const response = await gateway.post(CLASSIFY, { input: 'x', ...body });
  const json: unknown = await response.json();
  return { status: response.status, version: response.headers.get('x-thalamus-version'), body: json };
};
const codeOf = ({ body }: { body: unknown }) => answers.error.parse(body).error.code;

async function register(name: string, stable: string, changedAtMs = 0): Promise<void> {
  for (const version of ['1', '2']) {
    const value = { expert: name, version, task: TASK, licence: 'Apache-2.0', labelCount: 2 };
    await gateway.register(`version/${name}@${version}`, { case: 'version', value });
  }
  await gateway.register(
    `expert/${name}`,
    { case: 'expert', value: { name, task: TASK, stable } },
    changedAtMs,
  );
}

/** Resolves once the gateway knows a state of a version without having been asked for the expert. */
function isKnown(name: string, version: string, state: string): Promise<unknown> {
  return waitUntil(`${name}@${version} is known as ${state}`, async () => {
    const { body } = await gateway.admin('GET', '/admin/v1/experts');
    const expert = adminAnswers.experts.parse(body).data.find((item) => item.name === name);
    return expert?.versions
      .find((item) => item.version === version)
      ?.residents.some((resident) => resident.state === state);
  });
}

/** Resolves once the gateway no longer counts on a host. */
function isGone(name: string, host: string): Promise<unknown> {
  return waitUntil(`${host} is gone`, async () => {
    const { body } = await gateway.admin('GET', '/admin/v1/experts');
    const expert = adminAnswers.experts.parse(body).data.find((item) => item.name === name);
    return expert?.versions.every(({ residents }) => residents.every((resident) => resident.host !== host));
  });
}

function isStable(name: string, version: string): Promise<unknown> {
  return waitUntil(`${version} is the stable version of ${name}`, async () => {
    const { body } = await gateway.admin('GET', '/admin/v1/experts');
    return adminAnswers.experts
      .parse(body)
      .data.some((item) => item.name === name && item.stable === version);
  });
}

describe('an expert that its host has not loaded', () => {
  it.each(['registered', 'loading', 'draining'])(
    'is asked while it is %s, and its load waited for',
    async (state) => {
      await gateway.reside('cold', '1', { state });
      await isKnown('cold', '1', state);
      let load: () => void = () => undefined;
      const loaded = new Promise<void>((resolve) => {
        load = resolve;
      });
      const { answer } = gateway.host;
      gateway.host.answer = async (request, context) => {
        await loaded;
        return answer(request, context);
      };
      const asked = ask({ model: 'cold' });
      await waitUntil('the host was asked', () => gateway.host.requests.length > 0);
      load();
      expect(await asked).toMatchObject({ status: 200, version: '1' });
      expect(gateway.host.requests).toHaveLength(1);
    },
  );

  it('is what the router may choose', async () => {
    await gateway.reside('cold', '1', { state: 'registered' });
    await isKnown('cold', '1', 'registered');
    const [first, second] = decision().ranked;
    gateway.router.answer = () =>
      Promise.resolve({
        decision: decision({ ranked: [{ ...first, expert: 'cold' }, { ...second }] }),
        strippedPrompt: 'x',
      });
    expect(await ask({ model: 'auto' })).toMatchObject({ status: 200, version: '1' });
    expect(gateway.host.requests.map(({ modelName }) => modelName)).toEqual(['cold']);
  });

  it('is asked where it is ready when another host has it', async () => {
    const other = { hostId: 'host-2', address: '127.0.0.1:1' };
    await gateway.reside('cold', '1', { state: 'ready' });
    await gateway.reside('cold', '1', { ...other, state: 'registered' });
    await isKnown('cold', '1', 'registered');
    await isKnown('cold', '1', 'ready');
    for (let count = 0; count < 3; count++)
      expect(await ask({ model: 'cold' })).toMatchObject({ status: 200 });
    await gateway.reside('cold', '1', { ...other, state: 'registered', leaseMs: -1 });
    await isGone('cold', other.address);
  });

  it('answers what the host says when its load fails, and is not asked once that is known', async () => {
    await gateway.reside('cold', '1', { state: 'registered' });
    await isKnown('cold', '1', 'registered');
    gateway.host.answer = () =>
      Promise.reject(
        new ThalamusError('EXPERT_OVERLOADED', 'cold@1 finds no room.', { retryAfterMs: 1_000 }),
      );
    const refused = await ask({ model: 'cold' });
    expect([refused.status, codeOf(refused)]).toEqual([429, 'EXPERT_OVERLOADED']);
    await gateway.reside('cold', '1', { state: 'failed' });
    await isKnown('cold', '1', 'failed');
    const asked = gateway.host.requests.length;
    expect(codeOf(await ask({ model: 'cold' }))).toBe('EXPERT_NOT_READY');
    expect(gateway.host.requests).toHaveLength(asked);
  });
});

describe('a new stable version', () => {
  it('leaves the one before to answer until it is ready, also where nobody had asked for that', async () => {
    await register('moving', '1');
    await gateway.reside('moving', '1');
    await isKnown('moving', '1', 'ready');
    await isStable('moving', '1');
    await register('moving', '2');
    await isStable('moving', '2');
    expect(await ask({ model: 'moving' })).toMatchObject({ status: 200, version: '1' });
    await gateway.reside('moving', '2', { state: 'loading' });
    await isKnown('moving', '2', 'loading');
    expect(await ask({ model: 'moving' })).toMatchObject({ status: 200, version: '1' });
    await gateway.reside('moving', '2');
    await isKnown('moving', '2', 'ready');
    expect(await ask({ model: 'moving' })).toMatchObject({ status: 200, version: '2' });
    expect(gateway.host.requests.map(({ modelVersion }) => modelVersion)).toEqual(['1', '1', '2']);
  });

  it('is waited for when hosts have not heard of it yet', async () => {
    await register('fresh', '1', Date.now());
    await isStable('fresh', '1');
    const asked = ask({ model: 'fresh' });
    await gateway.reside('fresh', '1', { state: 'registered' });
    expect(await asked).toMatchObject({ status: 200, version: '1' });
  });

  it('that no host takes is refused', async () => {
    await register('nobodys', '1', Date.now());
    await isStable('nobodys', '1');
    const refused = await ask({ model: 'nobodys' });
    expect([refused.status, codeOf(refused)]).toEqual([503, 'EXPERT_NOT_READY']);
  });
});
