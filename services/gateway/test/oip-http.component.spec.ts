import type { CallContext } from '@thalamus/grpc';
import { ThalamusError } from '@thalamus/errors';
import { describe, expect, it } from 'vitest';
import { gzipSync } from 'node:zlib';
import { oipSchemas } from '../src/adapters/http/oip-schemas.js';
import { KEYS, ROLE_KEYS, type GatewayUnderTest } from './support/gateway-under-test.js';
import { useGateway } from './support/use-gateway.js';

let gateway: GatewayUnderTest;
useGateway((started) => {
  gateway = started;
});

const text = (...data: readonly string[]) => ({
  name: 'text',
  datatype: 'BYTES',
  shape: [data.length],
  data,
});
const infer = (model: string, body: object, init: Parameters<GatewayUnderTest['fetch']>[1] = {}) =>
  gateway.post(`/v2/models/${model}/infer`, body, init);

/** Status and error of a refusal, which has nothing but a text. */
async function refusal(response: Response) {
  const body: unknown = await response.json();
  expect(oipSchemas.error.strict().parse(body)).toEqual(body);
  return { status: response.status, error: oipSchemas.error.parse(body).error };
}

/** Waits for the end of its call. */
const never = (_request: unknown, { signal }: CallContext) =>
  new Promise<never>((_resolve, reject) => {
    signal.addEventListener('abort', () => {
      reject(signal.reason as Error);
    });
  });

describe('the Open Inference Protocol over HTTP', () => {
  it('auto routes each text and answers JSON', async () => {
    const response = await infer('auto', { id: 'mine', inputs: [text('a', 'b')] });
    const body: unknown = await response.json();
    expect(oipSchemas.inferAnswer.strict().parse(body)).toEqual(body);
    expect(body).toMatchObject({
      id: 'mine',
      model_name: 'auto',
      outputs: [
        { name: 'label', datatype: 'BYTES', shape: [2], data: ['card_lost', 'card_lost'] },
        { name: 'score', datatype: 'FP32', shape: [2], data: [0.75, 0.75] },
        { name: 'expert', datatype: 'BYTES', shape: [2], data: ['banking@2', 'banking@2'] },
      ],
    });
    expect(response.headers.get('x-request-id')).toMatch(/^[\w-]{36}$/);
  });

  it('auto answers the outputs that are asked for, and no others', async () => {
    const outputs = [{ name: 'expert' }, { name: 'score', parameters: { binary_data: true } }];
    const response = await infer('auto', { inputs: [text('a')], outputs });
    const length = Number(response.headers.get('inference-header-content-length'));
    const body = Buffer.from(await response.arrayBuffer());
    expect(oipSchemas.inferAnswer.parse(JSON.parse(body.subarray(0, length).toString())).outputs).toEqual([
      { name: 'score', datatype: 'FP32', shape: [1], parameters: { binary_data_size: 4 } },
      { name: 'expert', datatype: 'BYTES', shape: [1], data: ['banking@2'] },
    ]);
    expect(body.subarray(length).readFloatLE()).toBe(0.75);
  });

  it('auto answers binary data to who asks for it, compressed to who takes that', async () => {
    const many = Array.from({ length: 200 }, () => 'hi');
    const head = Buffer.from(
      JSON.stringify({
        inputs: [{ name: 'text', datatype: 'BYTES', shape: [200], parameters: { binary_data_size: 1_200 } }],
        parameters: { binary_data_output: true, flags: 'size=0.5' },
        outputs: [],
      }),
    );
    const raw = Buffer.concat(many.map(() => Buffer.from([2, 0, 0, 0, 104, 105])));
    // As clients of Triton send it: without a content type.
    const response = await gateway.fetch('/v2/models/auto/infer', {
      method: 'POST',
      body: gzipSync(Buffer.concat([head, raw])),
      headers: {
        'inference-header-content-length': String(head.byteLength),
        'content-encoding': 'gzip',
        'accept-encoding': 'gzip',
      },
    });
    expect([response.status, response.headers.get('content-encoding')]).toEqual([200, 'gzip']);
    const body = Buffer.from(await response.arrayBuffer());
    const length = Number(response.headers.get('inference-header-content-length'));
    const { outputs } = JSON.parse(body.subarray(0, length).toString()) as {
      outputs: { name: string; parameters: { binary_data_size: number } }[];
    };
    expect(outputs.map(({ name, parameters }) => [name, parameters.binary_data_size])).toEqual([
      ['label', 200 * (4 + 'card_lost'.length)],
      ['score', 800],
      ['expert', 200 * (4 + 'banking@2'.length)],
    ]);
    expect(body.readFloatLE(length + 200 * 13)).toBe(0.75);
    expect(gateway.router.requests[0]?.flags.map(({ name }) => name)).toEqual(['size']);
    expect(body.byteLength).toBe(length + 200 * 13 + 800 + 200 * 13);
  });

  it('passes tensors of a named model on, in its stable or a pinned version', async () => {
    const inputs = [{ name: 'input_ids', datatype: 'INT64', shape: [1, 2], data: [[1, 2]] }];
    const outputs = [{ name: 'scores', parameters: { classification: 2 } }];
    const response = await infer('banking', { inputs, outputs, parameters: { timeout: 5_000_000 } });
    expect(response.status).toBe(200);
    expect((await infer('banking/versions/1', { inputs })).status).toBe(200);
    const [first, second] = gateway.host.requests;
    expect([first?.modelVersion, second?.modelVersion]).toEqual(['2', '1']);
    expect(first).toMatchObject({
      modelName: 'banking',
      inputs: [{ name: 'input_ids', datatype: 'INT64', shape: [1n, 2n] }],
      outputs: [{ name: 'scores', parameters: { classification: { parameterChoice: { value: 2n } } } }],
      parameters: { timeout: { parameterChoice: { case: 'int64Param', value: 5_000_000n } } },
    });
    expect([...new BigInt64Array(new Uint8Array(first!.rawInputContents[0]!).buffer)]).toEqual([1n, 2n]);
    expect(gateway.router.requests).toEqual([]);
  });

  it('describes itself, its models and whether they are ready', async () => {
    const json = async (path: string, status = 200) => {
      const response = await gateway.fetch(path);
      expect(response.status, path).toBe(status);
      return response.json() as Promise<Record<string, unknown>>;
    };
    for (const [path, answer] of [
      ['/v2/health/live', { live: true }],
      ['/v2/health/ready', { ready: true }],
    ] as const)
      expect(await (await gateway.fetch(path, { key: null })).json()).toEqual(answer);
    expect(oipSchemas.server.parse(await json('/v2'))).toMatchObject({ name: 'thalamus' });
    expect(oipSchemas.model.parse(await json('/v2/models/auto'))).toMatchObject({
      inputs: [{ name: 'text', datatype: 'BYTES', shape: [-1] }],
    });
    expect(await json('/v2/models/banking')).toMatchObject({ name: 'banking', versions: ['2'] });
    expect(await json('/v2/models/banking/versions/1')).toMatchObject({ versions: ['1'] });
    expect(await json('/v2/models/banking/ready')).toEqual({ name: 'banking', ready: true });
    expect(await json('/v2/models/cold/ready', 400)).toEqual({ name: 'cold', ready: false });
    expect(await json('/v2/models/banking/config')).toMatchObject({ name: 'banking', platform: 'fake' });
    const stats = await (await gateway.fetch('/v2/models/banking/stats')).text();
    expect(stats).toContain(`"inference_count":${2n ** 60n + 1n}`);
    const all = oipSchemas.statistics.parse(JSON.parse(stats.replace(String(2n ** 60n + 1n), '1')));
    expect(all.model_stats.map(({ name }) => name)).toEqual(['banking']);
  });

  it('tells of the models that the caller may use, and of no other', async () => {
    const names = async (key: string) => {
      const response = await gateway.fetch('/v2/models/stats', { key });
      const { model_stats: stats } = (await response.json()) as { model_stats: { name: string }[] };
      return stats.map(({ name }) => name);
    };
    expect(await names(KEYS.acme.key)).toEqual(['banking', 'clinic']);
    expect(await names(KEYS.globex.key)).toEqual(['banking', 'clinic', 'private']);
    const index = await gateway.fetch('/v2/repository/index', { method: 'POST' });
    const listed = oipSchemas.index.parse(await index.json());
    expect(listed.map(({ name, state }) => `${name} ${state}`)).toEqual([
      'auto READY',
      'banking READY',
      'base READY',
      'clinic READY',
      'cold UNAVAILABLE',
    ]);
    const ready = await gateway.post('/v2/repository/index', { ready: true });
    expect(oipSchemas.index.parse(await ready.json()).map(({ name }) => name)).not.toContain('cold');
  });

  it('tells the end of each request once, failures included', async () => {
    const id = (name: string) => ({ headers: { 'x-request-id': name } });
    await infer('banking', { inputs: [text('a')] }, id('rest-good'));
    await infer('nobody', { inputs: [text('a')] }, id('rest-nobody'));
    await infer('banking', { inputs: 'none' }, id('rest-bad'));
    const told = () =>
      gateway.completed
        .filter(({ requestId }) => requestId.startsWith('rest-'))
        .map(({ requestId, operation, errorCode }) => [requestId, operation, errorCode]);
    await expect.poll(() => told().length).toBe(3);
    expect(told()).toEqual([
      ['rest-good', 'ModelInfer', ''],
      ['rest-nobody', 'ModelInfer', 'EXPERT_NOT_FOUND'],
      ['rest-bad', 'ModelInfer', 'REQUEST_INVALID'],
    ]);
  });
});

describe('what is refused over HTTP in the form of the protocol', () => {
  const inputs = [text('x')];
  it.each([
    ['no key', () => infer('auto', { inputs }, { key: null }), 401, 'KEY_INVALID'],
    ['no key below /v2', () => gateway.fetch('/v2/nothing', { key: null }), 401, 'KEY_INVALID'],
    ['an unknown path', () => gateway.fetch('/v2/models/auto/generate'), 404, 'RESOURCE_NOT_FOUND'],
    [
      'another method',
      () => gateway.fetch('/v2/models/auto', { method: 'DELETE' }),
      405,
      'METHOD_NOT_ALLOWED',
    ],
    ['an unknown model', () => infer('nobody', { inputs }), 404, 'EXPERT_NOT_FOUND'],
    ['an expert of another tenant', () => infer('private', { inputs }), 404, 'EXPERT_NOT_FOUND'],
    ['an expert that no host has', () => infer('cold', { inputs }), 503, 'EXPERT_NOT_READY'],
    ['a version of auto', () => infer('auto/versions/1', { inputs }), 400, 'model_version'],
    ['no JSON', () => gateway.fetch('/v2/models/auto/infer', { method: 'POST', body: '{' }), 400, 'not JSON'],
    ['an unknown field', () => infer('auto', { inputs, model: 'x' }), 400, 'model: is unknown'],
    ['an unknown parameter', () => infer('auto', { inputs, parameters: { priority: 1 } }), 400, 'priority'],
    ['a timeout that is none', () => infer('auto', { inputs, parameters: { timeout: 0 } }), 400, 'timeout'],
    [
      'an unknown output',
      () => infer('auto', { inputs, outputs: [{ name: 'scores' }] }),
      400,
      'outputs.scores',
    ],
    [
      'classes of auto',
      () => infer('auto', { inputs, outputs: [{ name: 'score', parameters: { classification: 1 } }] }),
      400,
      'classification',
    ],
    ['a lying shape', () => infer('auto', { inputs: [{ ...text('x'), shape: [2] }] }), 400, 'TENSOR_INVALID'],
    ['an empty text', () => infer('auto', { inputs: [text(' ')] }), 400, 'text[0]'],
    [
      'a body that is too large',
      () => infer('auto', { inputs: [text('x'.repeat(700_000))] }),
      413,
      'bytes that POST /v2/models/auto/infer takes; send less',
    ],
    [
      'a load by a viewer',
      () => gateway.post('/v2/repository/models/banking/load', {}),
      403,
      'PERMISSION_DENIED',
    ],
    [
      'a load by an operator',
      () => gateway.post('/v2/repository/models/banking/load', {}, { key: ROLE_KEYS.operator.minted.key }),
      501,
      'loads no models',
    ],
  ] as const)('%s', async (_what, ask, status, says) => {
    expect(await refusal(await ask())).toEqual({ status, error: expect.stringContaining(says) as string });
    expect([gateway.router.requests.length, gateway.host.requests.length]).toEqual([0, 0]);
  });

  it('what a page of another site can send without being allowed to', async () => {
    const body = JSON.stringify({ inputs });
    const send = (headers: Record<string, string>) =>
      gateway.fetch('/v2/models/auto/infer', { method: 'POST', body, headers });
    const origin = 'https://elsewhere.example';
    expect(await refusal(await send({ origin }))).toMatchObject({ status: 415 });
    expect((await send({ origin, 'content-type': 'application/json' })).status).toBe(200);
    const asked = await gateway.fetch('/v2/models/auto/infer', { method: 'OPTIONS', headers: { origin } });
    expect(asked.headers.get('access-control-allow-origin')).toBeNull();
  });

  it('a body that decodes to more than is taken', async () => {
    const body = gzipSync(JSON.stringify({ inputs: [text('x'.repeat(700_000))] }));
    expect(body.byteLength).toBeLessThan(10_000);
    const headers = { 'content-encoding': 'gzip' };
    const response = await gateway.fetch('/v2/models/auto/infer', { method: 'POST', body, headers });
    expect(await refusal(response)).toMatchObject({ status: 413 });
  });

  it('more requests than the tenant may make, with a time to come back', async () => {
    const ask = () => infer('banking', { inputs }, { key: KEYS.slow.key });
    let last = await ask();
    for (let more = 0; more < 2 && last.status === 200; more += 1) last = await ask();
    expect(Number(last.headers.get('retry-after'))).toBeGreaterThan(900);
    expect(await refusal(last)).toEqual({
      status: 429,
      error: expect.stringContaining('RATE_LIMITED') as string,
    });
  });

  it('what a host refuses, with its text', async () => {
    gateway.host.answer = () =>
      Promise.reject(new ThalamusError('EXPERT_OVERLOADED', 'The queue is full.', { retryAfterMs: 1_500 }));
    const response = await infer('banking', { inputs });
    expect(response.headers.get('retry-after')).toBe('2');
    expect(await refusal(response)).toEqual({ status: 429, error: 'EXPERT_OVERLOADED: The queue is full.' });
  });
});

describe('time and cancellation of inferences over HTTP', () => {
  const inputs = [text('x')];
  it.each([
    ['the header of the caller', {}, { 'x-request-timeout-ms': '150' }],
    ['the parameter timeout in microseconds', { parameters: { timeout: 150_000 } }, {}],
  ] as const)('%s is a deadline of auto', async (_what, extra, headers) => {
    gateway.host.answer = never;
    const response = await infer('auto', { inputs, ...extra }, { headers });
    expect(await refusal(response)).toMatchObject({ status: 504 });
  });

  it.each(['auto', 'banking'])('a client that goes away cancels what %s asked of the host', async (model) => {
    let cancelled = false;
    gateway.host.answer = (request: unknown, context: CallContext) => {
      context.signal.addEventListener('abort', () => {
        cancelled = true;
      });
      return never(request, context);
    };
    const aborter = new AbortController();
    const work = infer(model, { inputs }, { signal: aborter.signal });
    await expect.poll(() => gateway.host.requests.length).toBe(1);
    expect(cancelled).toBe(false);
    aborter.abort();
    await expect(work).rejects.toThrow('abort');
    await expect.poll(() => cancelled).toBe(true);
  });
});
