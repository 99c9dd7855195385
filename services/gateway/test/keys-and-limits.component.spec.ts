import { describe, expect, it } from 'vitest';
import { GatewayUnderTest, KEYS } from './support/gateway-under-test.js';
import { errorOf, useGateway } from './support/use-gateway.js';

let gateway: GatewayUnderTest;
useGateway((started) => {
  gateway = started;
});

describe('keys', () => {
  it.each([
    ['no key', null, 'No API key was sent'],
    ['a malformed key', 'thk_nonsense', 'The API key is not valid'],
    ['an unknown key', `thk_${'0'.repeat(12)}_${'a'.repeat(43)}`, 'The API key is not valid'],
    ['a wrong secret', `${KEYS.acme.id}_${'a'.repeat(43)}`, 'The API key is not valid'],
    ['a revoked key', KEYS.revoked.key, 'was revoked'],
  ])('refuses %s with 401', async (_name, key, message) => {
    for (const path of [
      '/v1/models',
      '/v1/models/auto',
      '/v1/nothing',
      '/%761/models/auto',
      '/v1%2Fmodels',
    ]) {
      const response = await gateway.fetch(path, { key });
      if (response.status === 404) expect(path).toBe('/v1%2Fmodels');
      else {
        expect(response.headers.get('www-authenticate')).toBe('Bearer');
        const error = await errorOf(response);
        expect(error).toMatchObject({ status: 401, code: 'KEY_INVALID', type: 'authentication_error' });
        expect(error['message' as keyof typeof error]).toContain(message);
      }
    }
    const bare = await fetch(`${gateway.url}/v1/models`, { headers: { authorization: KEYS.acme.key } });
    expect(bare.status).toBe(401);
  });

  it('hides experts of other tenants, and tells of those that a policy forbids', async () => {
    const hidden = await gateway.post('/v1/classifications', { input: 'x', model: 'private' });
    expect(await errorOf(hidden)).toMatchObject({ status: 404, code: 'EXPERT_NOT_FOUND' });
    const open = await gateway.post(
      '/v1/classifications',
      { input: 'x', model: 'private' },
      { key: KEYS.globex.key },
    );
    expect(open.status).toBe(200);
  });
});

describe('limits', () => {
  it('of a tenant’s rate answer 429 with a time to come back, and bind no other tenant', async () => {
    const key = KEYS.slow.key;
    let last = await gateway.fetch('/v1/models', { key });
    for (let more = 0; more < 2 && last.status === 200; more++)
      last = await gateway.fetch('/v1/models', { key });
    expect(Number(last.headers.get('retry-after'))).toBeGreaterThan(900);
    expect(await errorOf(last)).toMatchObject({
      status: 429,
      code: 'RATE_LIMITED',
      type: 'rate_limit_error',
    });
    expect((await gateway.fetch('/v1/models')).status).toBe(200);
  });

  it('of requests at once answer 429 and free the place when a request ends', async () => {
    const small = await GatewayUnderTest.start({ THALAMUS_MAX_IN_FLIGHT: '1' });
    try {
      const { answer } = small.host;
      let release = (): void => undefined;
      const held = new Promise<void>((resolve) => {
        release = resolve;
      });
      small.host.answer = async (request, context) => {
        await held;
        return answer(request, context);
      };
      const first = small.post('/v1/classifications', { input: 'x', model: 'clinic' });
      await expect.poll(() => small.host.requests.length).toBe(1);
      expect(await errorOf(await small.fetch('/v1/models'))).toMatchObject({
        status: 429,
        code: 'EXPERT_OVERLOADED',
      });
      release();
      expect((await first).status).toBe(200);
      await expect.poll(async () => (await small.fetch('/v1/models')).status).toBe(200);
    } finally {
      await small.stop();
    }
  });
});
