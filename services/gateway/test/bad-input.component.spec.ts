import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { answers } from '../src/adapters/http/answer-schemas.js';
import { CASES, CLASSIFY } from './support/bad-input-cases.js';
import { GatewayUnderTest, KEYS } from './support/gateway-under-test.js';

let gateway: GatewayUnderTest;
beforeAll(async () => {
  gateway = await GatewayUnderTest.start();
});
afterAll(() => gateway.stop());
beforeEach(() => {
  gateway.router.reset();
  gateway.host.reset();
});

describe('bad input over HTTP', () => {
  it.each(CASES)('$name is $status $code', async (item) => {
    const { path = CLASSIFY, method = 'POST', json, headers, key, status, code } = item;
    const body = item.body ?? (json === undefined ? undefined : JSON.stringify(json));
    const type = body === undefined ? {} : { 'content-type': 'application/json' };
    const response = await gateway.fetch(path, {
      method,
      headers: { ...type, ...headers },
      ...(body === undefined ? {} : { body }),
      ...(key === undefined ? {} : { key }),
    });
    const answer: unknown = await response.json();
    expect(answers.error.parse(answer)).toEqual(answer);
    const { error } = answers.error.parse(answer);
    expect({ status: response.status, code: error.code }).toEqual({ status, code });
    if (item.param !== undefined) expect(error.param).toBe(item.param);
    if (item.says) expect(error.message).toMatch(item.says);
    expect(error.request_id).toBe(response.headers.get('x-request-id'));
    expect(response.headers.get('content-type')).toMatch(/^application\/json/);
    // No service is asked about a request that is refused.
    expect([gateway.router.requests.length, gateway.host.requests.length]).toEqual([0, 0]);
  });

  it('never repeats the text of a prompt', async () => {
    const secret = 'canary-5b1e';
    for (const body of [
      `{"input":"${secret}`,
      `{"input":{"${secret}":1}}`,
      JSON.stringify({ input: [secret, 7] }),
    ]) {
      const response = await gateway.fetch(CLASSIFY, {
        method: 'POST',
        body,
        headers: { 'content-type': 'application/json' },
      });
      expect(response.status).toBe(400);
      expect(await response.text()).not.toContain(secret);
    }
  });

  it.each([
    ['PUT', CLASSIFY, 'POST'],
    ['GET', CLASSIFY, 'POST'],
    ['DELETE', '/v1/models/banking', 'GET, HEAD'],
    ['POST', '/v1/models', 'GET, HEAD'],
    ['OPTIONS', '/v1/route', 'POST'],
    ['POST', '/healthz', 'GET, HEAD'],
  ])('%s %s is 405 and says what is allowed', async (method, path, allow) => {
    const response = await gateway.fetch(path, { method });
    expect(response.status).toBe(405);
    expect(response.headers.get('allow')).toBe(allow);
    expect(answers.error.parse(await response.json()).error.code).toBe('METHOD_NOT_ALLOWED');
  });

  it('headers that are too large are 431', async () => {
    const { port } = new URL(gateway.url);
    const answer = await raw(
      Number(port),
      `GET /healthz HTTP/1.1\r\nhost: x\r\nx-big: ${'x'.repeat(20_000)}\r\n\r\n`,
    );
    expect(answer.status).toBe(431);
    expect(answers.error.parse(answer.body).error).toMatchObject({
      code: 'HEADERS_TOO_LARGE',
      request_id: null,
    });
  });

  it('what is no HTTP is 400', async () => {
    const { port } = new URL(gateway.url);
    const answer = await raw(Number(port), 'HELLO\r\n\r\n');
    expect(answer.status).toBe(400);
    expect(answers.error.parse(answer.body).error.code).toBe('REQUEST_INVALID');
  });

  it('a body over the limit is refused though it says no length', async () => {
    const { port } = new URL(gateway.url);
    const status = await new Promise<number>((resolve, reject) => {
      const request = httpRequest({ port: Number(port), path: CLASSIFY, method: 'POST', agent: false });
      request.setHeader('authorization', `Bearer ${KEYS.acme.key}`);
      request.setHeader('content-type', 'application/json');
      request.setHeader('transfer-encoding', 'chunked');
      request.on('response', (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      });
      request.on('error', reject);
      for (let part = 0; part < 7; part++) request.write('x'.repeat(100_000));
    });
    expect(status).toBe(413);
  });
});

/** Sends bytes and reads the answer to its end. */
function raw(port: number, text: string): Promise<{ status: number; body: unknown }> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = connect(port, '127.0.0.1', () => socket.write(text));
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('error', reject);
    socket.on('end', () => {
      const [head = '', body = ''] = Buffer.concat(chunks).toString().split('\r\n\r\n');
      resolve({ status: Number(head.split(' ')[1]), body: JSON.parse(body) as unknown });
    });
  });
}
