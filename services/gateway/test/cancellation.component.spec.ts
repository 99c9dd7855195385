import type { CallContext } from '@thalamus/grpc';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { answers } from '../src/adapters/http/answer-schemas.js';
import { CLASSIFY } from './support/bad-input-cases.js';
import { GatewayUnderTest } from './support/gateway-under-test.js';

let gateway: GatewayUnderTest;
beforeAll(async () => {
  gateway = await GatewayUnderTest.start();
});
afterAll(() => gateway.stop());
beforeEach(() => {
  gateway.router.reset();
  gateway.host.reset();
});

describe('time and cancellation over HTTP', () => {
  const never = (_request: unknown, { signal }: CallContext) =>
    new Promise<never>((_resolve, reject) => {
      signal.addEventListener('abort', () => {
        reject(signal.reason as Error);
      });
    });

  it.each(['router', 'host'] as const)('a slow %s is 504 once the time of the caller is up', async (slow) => {
    gateway[slow].answer = never;
    const response = await gateway.post(
      CLASSIFY,
      { input: 'x' },
      { headers: { 'x-request-timeout-ms': '150' } },
    );
    const { error } = answers.error.parse(await response.json());
    expect([response.status, error.code]).toEqual([504, 'DEADLINE_EXCEEDED']);
  });

  it.each(['router', 'host'] as const)('a client that goes away cancels the %s', async (where) => {
    let cancelled = false;
    gateway[where].answer = (request: unknown, context: CallContext) => {
      context.signal.addEventListener('abort', () => {
        cancelled = true;
      });
      return never(request, context);
    };
    const aborter = new AbortController();
    const work = gateway.post(CLASSIFY, { input: 'x' }, { signal: aborter.signal });
    await expect.poll(() => gateway[where].requests.length).toBe(1);
    expect(cancelled).toBe(false);
    aborter.abort();
    await expect(work).rejects.toThrow('abort');
    await expect.poll(() => cancelled).toBe(true);
    await expect.poll(() => gateway.completed.some(({ errorCode }) => errorCode === 'CANCELLED')).toBe(true);
  });
});
