import { ThalamusError } from '@thalamus/errors';
import { describe, expect, it } from 'vitest';
import { answers } from '../src/adapters/http/answer-schemas.js';
import type { GatewayUnderTest } from './support/gateway-under-test.js';
import { errorOf, useGateway } from './support/use-gateway.js';

let gateway: GatewayUnderTest;
useGateway((started) => {
  gateway = started;
});

describe('the host behind the gateway', () => {
  it('is asked once more after a crash, and never more than that', async () => {
    const crash = () => Promise.reject(new ThalamusError('EXPERT_CRASHED', 'The process ended.'));
    const { answer } = gateway.host;
    let failures = 1;
    gateway.host.answer = (request, context) => (failures-- > 0 ? crash() : answer(request, context));
    expect((await gateway.post('/v1/classifications', { input: 'x', model: 'clinic' })).status).toBe(200);
    expect(gateway.host.requests).toHaveLength(2);
    gateway.host.reset();
    gateway.host.answer = crash;
    const failed = await gateway.post('/v1/classifications', { input: 'x', model: 'clinic' });
    expect(await errorOf(failed)).toMatchObject({
      status: 503,
      code: 'EXPERT_CRASHED',
      type: 'server_error',
    });
    expect(gateway.host.requests).toHaveLength(2);
  });

  it('is not asked again for what another try cannot mend, nor without time for it', async () => {
    gateway.host.answer = () => Promise.reject(new ThalamusError('INFERENCE_FAILED', 'No.'));
    expect((await gateway.post('/v1/classifications', { input: 'x', model: 'clinic' })).status).toBe(500);
    expect(gateway.host.requests).toHaveLength(1);
    gateway.host.reset();
    gateway.host.answer = () => Promise.reject(new ThalamusError('EXPERT_CRASHED', 'The process ended.'));
    const hurried = { headers: { 'x-request-timeout-ms': '45' } };
    await gateway.post('/v1/classifications', { input: 'x', model: 'clinic' }, hurried);
    expect(gateway.host.requests.length).toBeLessThanOrEqual(1);
  });

  it('that no one has ready is 503 with a time to come back', async () => {
    const response = await gateway.post('/v1/classifications', { input: 'x', model: 'cold' });
    expect(response.headers.get('retry-after')).toBe('1');
    expect(await errorOf(response)).toMatchObject({ status: 503, code: 'EXPERT_NOT_READY' });
  });
});

describe('a service behind the gateway that cannot be reached', () => {
  it('is 503 that says what to do and when, and not where the service would be', async () => {
    const away = () =>
      Promise.reject(new ThalamusError('UPSTREAM_UNAVAILABLE', 'connect ECONNREFUSED 127.0.0.1:1'));
    for (const [fake, model] of [
      [gateway.router, 'auto'],
      [gateway.host, 'clinic'],
    ] as const) {
      fake.answer = away;
      const response = await gateway.post('/v1/classifications', { input: 'x', model });
      expect(response.headers.get('retry-after')).toBe('1');
      expect(response.status).toBe(503);
      const { error } = answers.error.parse(await response.json());
      expect(error.code).toBe('UPSTREAM_UNAVAILABLE');
      expect(error.message).toContain('cannot be reached just now; try again');
      expect(error.message).not.toContain('127.0.0.1');
      fake.reset();
    }
  });
});
