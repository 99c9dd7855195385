import { TOPICS } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decision } from './support/fake-services.js';
import { GatewayUnderTest, KEYS } from './support/gateway-under-test.js';

let gateway: GatewayUnderTest;
beforeAll(async () => {
  gateway = await GatewayUnderTest.start();
});
afterAll(() => gateway.stop());

const named = (id: string) => ({ headers: { 'x-request-id': id } });
/** Events of a request, once there are `count`. */
async function eventsOf(id: string, count = 1) {
  const found = () => gateway.completed.filter(({ requestId }) => requestId.split('/')[0] === id);
  await expect.poll(() => found().length).toBe(count);
  return found();
}

describe('completion events', () => {
  it('tell decision and outcome together', async () => {
    await gateway.post('/v1/classifications', { input: 'x' }, named('routed'));
    const [event] = await eventsOf('routed');
    expect(event).toMatchObject({
      tenant: 'acme',
      task: 'text-classification',
      operation: 'classifications',
      expert: 'banking',
      version: '2',
      channel: 'stable',
      routed: true,
      routerModel: 'test-router@3',
      encoderDigest: `sha256:${'e'.repeat(64)}`,
      regionId: 7,
      propensity: 1,
      predictedLoss: 0.25,
      candidates: [
        { expert: 'banking', predictedLoss: 0.25, total: 0.375 },
        { expert: 'clinic', predictedLoss: 1.5, total: 1.625 },
      ],
      samplingRate: 1,
      inputTokens: 5,
      confidence: 0.75,
      errorCode: '',
      abstained: false,
    });
    expect(Object.keys(event?.timingsMs ?? {}).sort()).toEqual([
      'decide',
      'encode',
      'infer',
      'route',
      'total',
    ]);
    expect(event?.completedAt).toBeDefined();
  });

  it('tell of a pinned version that nobody chose', async () => {
    await gateway.post('/v1/classifications', { input: 'x', model: 'banking@1' }, named('pinned'));
    const [event] = await eventsOf('pinned');
    expect(event).toMatchObject({
      version: '1',
      channel: 'pinned',
      routed: false,
      routerModel: '',
      candidates: [],
    });
  });

  it('come one for each text of a request, with an id of its own', async () => {
    await gateway.post('/v1/classifications', { input: ['a', 'b', 'c'] }, named('many'));
    expect((await eventsOf('many', 3)).map(({ requestId }) => requestId).sort()).toEqual([
      'many/0',
      'many/1',
      'many/2',
    ]);
  });

  it.each([
    ['route', '/v1/route', { input: 'x' }, { operation: 'route', expert: '', routed: true, errorCode: '' }],
    [
      'embed',
      '/v1/embeddings',
      { input: 'x', model: 'base' },
      { operation: 'embeddings', expert: 'base', errorCode: '' },
    ],
    [
      'bad-body',
      '/v1/classifications',
      { input: '' },
      { operation: 'classifications', errorCode: 'REQUEST_INVALID' },
    ],
    [
      'bad-flag',
      '/v1/route',
      { input: 'x', flags: 'speed=1' },
      { operation: 'route', errorCode: 'FLAG_INVALID' },
    ],
    [
      'bad-model',
      '/v1/embeddings',
      { input: 'x', model: 'nobody' },
      { operation: 'embeddings', errorCode: 'EXPERT_NOT_FOUND' },
    ],
    [
      'too-large',
      '/v1/classifications',
      { input: 'x'.repeat(700_000) },
      { operation: 'classifications', errorCode: 'REQUEST_TOO_LARGE' },
    ],
    [
      'no-expert',
      '/v1/classifications',
      { input: 'x', model: 'cold' },
      { expert: 'cold', version: '1', errorCode: 'EXPERT_NOT_READY' },
    ],
  ] as const)('tell once of %s', async (id, path, body, expected) => {
    await gateway.post(path, body, named(id));
    const [event] = await eventsOf(id);
    expect(event).toMatchObject({ tenant: 'acme', ...expected });
  });

  it('tell of an abstention and of a failed expert what had been decided', async () => {
    gateway.router.answer = () => Promise.resolve({ decision: decision({ abstained: true, reason: 'No.' }) });
    await gateway.post('/v1/classifications', { input: 'x' }, named('abstained'));
    gateway.router.reset();
    gateway.host.answer = () => Promise.reject(new ThalamusError('INFERENCE_FAILED', 'No.'));
    await gateway.post('/v1/classifications', { input: 'x' }, named('failed'));
    gateway.host.reset();
    const [abstained] = await eventsOf('abstained');
    expect(abstained).toMatchObject({
      expert: '',
      abstained: true,
      routed: true,
      errorCode: 'NO_SUITABLE_EXPERT',
    });
    const [failed] = await eventsOf('failed');
    expect(failed).toMatchObject({ expert: 'banking', predictedLoss: 0.25, errorCode: 'INFERENCE_FAILED' });
  });

  it('tell of gRPC calls too, whoever fails them', async () => {
    const client = gateway.gateway();
    const metadata = { authorization: `Bearer ${KEYS.acme.key}` };
    await client.classify({ input: 'x', requestId: 'grpc-ok' }, { metadata });
    await expect(client.classify({ input: ' ', requestId: 'grpc-bad' }, { metadata })).rejects.toThrow();
    await expect(
      client.classify({ input: 'x', requestId: 'grpc-flag', flags: [{ name: 'speed' }] }, { metadata }),
    ).rejects.toThrow();
    const oip = gateway.oip();
    const inputs = [
      { name: 'text', datatype: 'BYTES', shape: [1n], contents: { bytesContents: [Buffer.from('x')] } },
    ];
    await oip.modelInfer({ id: 'oip-named', modelName: 'banking', inputs }, { metadata });
    await oip.modelInfer({ id: 'oip-auto', modelName: 'auto', inputs }, { metadata });
    await expect(oip.modelInfer({ id: 'oip-bad', modelName: 'auto' }, { metadata })).rejects.toThrow();
    client.close();
    oip.close();
    const codes = async (id: string) =>
      (await eventsOf(id)).map(({ errorCode, expert }) => [errorCode, expert]);
    expect(await codes('grpc-ok')).toEqual([['', 'banking']]);
    expect(await codes('grpc-bad')).toEqual([['REQUEST_INVALID', '']]);
    expect(await codes('grpc-flag')).toEqual([['FLAG_INVALID', '']]);
    expect(await codes('oip-named')).toEqual([['', 'banking']]);
    expect(await codes('oip-auto')).toEqual([['', 'banking']]);
    expect(await codes('oip-bad')).toEqual([['TENSOR_INVALID', '']]);
  });

  it('are not made of what is no request of a known caller', async () => {
    const before = gateway.completed.length;
    await gateway.post('/v1/classifications', { input: 'x' }, { ...named('no-key'), key: null });
    await gateway.fetch('/v1/models', named('listing'));
    await gateway.fetch('/v1/classifications', named('wrong-method'));
    await gateway.post('/v1/classifications', { input: 'x' }, named('marker'));
    await eventsOf('marker');
    expect(gateway.completed.length).toBe(before + 1);
  });

  it('hold no text of the prompt', async () => {
    const secret = 'canary-77f0a1';
    await gateway.post('/v1/classifications', { input: secret }, named('secret'));
    await gateway.post('/v1/classifications', { input: secret, flags: secret }, named('secret-flag'));
    await eventsOf('secret');
    await eventsOf('secret-flag');
    const log = await readFile(join(gateway.folder, 'events.sqlite'));
    const recent = await readFile(join(gateway.folder, 'events.sqlite-wal')).catch(() => Buffer.alloc(0));
    expect(Buffer.concat([log, recent]).includes('secret-flag')).toBe(true);
    expect(Buffer.concat([log, recent]).includes(secret)).toBe(false);
  });
});

describe('while the bus is away', () => {
  it('requests are answered as before, and their events wait on disk for the next start', async () => {
    const lonely = await GatewayUnderTest.start();
    try {
      await lonely.component('event bus').close?.();
      for (let at = 0; at < 3; at++) {
        const response = await lonely.post('/v1/classifications', { input: 'x' }, named(`away-${at}`));
        expect(response.status).toBe(200);
      }
      const spool = async () => {
        const text = await readFile(join(lonely.folder, 'gateway', 'spool.jsonl'), 'utf8').catch(() => '');
        return text
          .split('\n')
          .filter((line) => line !== '')
          .map((line) => JSON.parse(line) as { topic: string; key: string });
      };
      await expect
        .poll(async () => (await spool()).map(({ topic, key }) => [topic, key]), { timeout: 10_000 })
        .toEqual([0, 1, 2].map((at) => [TOPICS.requestCompleted.name, `away-${at}`]));
    } finally {
      await lonely.stop();
    }
  });
});
