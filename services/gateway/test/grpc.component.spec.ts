import { Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import { rpcDetails, rpcStatus } from '@thalamus/contracts';
import { fromBinary } from '@bufbuild/protobuf';
import { anyUnpack } from '@bufbuild/protobuf/wkt';
import { ThalamusError } from '@thalamus/errors';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { GatewayUnderTest, KEYS } from './support/gateway-under-test.js';

let gateway: GatewayUnderTest;
let client: ReturnType<GatewayUnderTest['gateway']>;
beforeAll(async () => {
  gateway = await GatewayUnderTest.start();
  client = gateway.gateway();
});
afterAll(async () => {
  client.close();
  await gateway.stop();
});
beforeEach(() => {
  gateway.router.reset();
  gateway.host.reset();
});

const metadata = { authorization: `Bearer ${KEYS.acme.key}` };
const faultOf = async (work: Promise<unknown>): Promise<ThalamusError> => {
  try {
    await work;
  } catch (fault) {
    if (ThalamusError.is(fault)) return fault;
    throw fault;
  }
  throw new Error('the call succeeded');
};

describe('thalamus.gateway.v1', () => {
  it('classifies with the decision', async () => {
    const answer = await client.classify(
      { input: 'I lost my card', requestId: 'r-1', topLabels: 1 },
      { metadata },
    );
    expect(answer).toMatchObject({
      requestId: 'r-1',
      expert: 'banking',
      version: '2',
      scores: [{ label: 'card_lost', score: 0.75 }],
      promptTokens: 5,
      decision: { routerModel: 'test-router', ranked: [{ expert: 'banking' }, { expert: 'clinic' }] },
    });
    expect(Object.keys(answer.timingsMs).sort()).toEqual(['decide', 'encode', 'infer', 'route', 'total']);
  });

  it('passes flags on, and names the faulty one', async () => {
    await client.classify(
      {
        input: 'x',
        flags: [{ name: 'size', form: { case: 'weight', value: 0.5 } }],
        model: 'auto:size=1,cost=2',
      },
      { metadata },
    );
    expect(gateway.router.requests[0]?.flags.map(({ name, form }) => [name, form.value])).toEqual([
      ['size', 0.5],
      ['cost', 2],
    ]);
    const twice = { name: 'size', form: { case: 'weight' as const, value: 1 } };
    const fault = await faultOf(client.classify({ input: 'x', flags: [twice, twice] }, { metadata }));
    expect(fault).toMatchObject({ code: 'FLAG_INVALID', violations: [{ field: 'flags[1]' }] });
    expect(fault.message).toContain('size');
  });

  it('embeds, routes and takes feedback', async () => {
    const { embeddings, expert } = await client.embed({ inputs: ['a', 'b'], model: 'base' }, { metadata });
    expect(expert).toBe('base');
    expect(embeddings.map(({ values }) => values.map((value) => value.toFixed(1)))).toEqual([
      ['0.6', '0.8'],
      ['0.6', '0.8'],
    ]);
    const routed = await client.route({ input: 'x', topK: 3, requestId: 'r-2' }, { metadata });
    expect(routed).toMatchObject({ requestId: 'r-2', decision: { reason: 'banking has the least total.' } });
    const { eventId } = await client.giveFeedback({ requestId: 'r-2', score: 1 }, { metadata });
    expect(eventId).toMatch(/^[0-9a-f-]{36}$/);
  });

  it.each([
    ['no key', () => client.classify({ input: 'x' }), 'KEY_INVALID'],
    [
      'a revoked key',
      () => client.classify({ input: 'x' }, { metadata: { authorization: `Bearer ${KEYS.revoked.key}` } }),
      'KEY_INVALID',
    ],
    ['an empty input', () => client.classify({ input: ' ' }, { metadata }), 'REQUEST_INVALID'],
    [
      'a prompt of 1 MB',
      () => client.classify({ input: 'x'.repeat(1_000_000) }, { metadata }),
      'REQUEST_INVALID',
    ],
    [
      'an unknown model',
      () => client.classify({ input: 'x', model: 'nobody' }, { metadata }),
      'EXPERT_NOT_FOUND',
    ],
    [
      'an unknown version',
      () => client.classify({ input: 'x', model: 'banking@9' }, { metadata }),
      'EXPERT_NOT_FOUND',
    ],
    [
      'an unknown flag',
      () => client.classify({ input: 'x', flags: [{ name: 'speed' }] }, { metadata }),
      'FLAG_INVALID',
    ],
    ['no texts', () => client.embed({ model: 'base' }, { metadata }), 'REQUEST_INVALID'],
    [
      'too many texts',
      () => client.embed({ inputs: Array<string>(257).fill('x'), model: 'base' }, { metadata }),
      'REQUEST_INVALID',
    ],
    [
      'feedback without content',
      () => client.giveFeedback({ requestId: 'r' }, { metadata }),
      'REQUEST_INVALID',
    ],
    [
      'a request id that is no id',
      () => client.classify({ input: 'x', requestId: 'ü\n' }, { metadata }),
      'REQUEST_INVALID',
    ],
    [
      'a request id that is too long',
      () => client.route({ input: 'x', requestId: 'x'.repeat(129) }, { metadata }),
      'REQUEST_INVALID',
    ],
    [
      'feedback for what is no request id',
      () => client.giveFeedback({ requestId: 'what I asked', score: 1 }, { metadata }),
      'REQUEST_INVALID',
    ],
    [
      'feedback with a label that is too long',
      () => client.giveFeedback({ requestId: 'r/1', label: 'x'.repeat(513) }, { metadata }),
      'REQUEST_INVALID',
    ],
    ['feedback for nothing', () => client.giveFeedback({ score: 1 }, { metadata }), 'REQUEST_INVALID'],
    [
      'a deadline that is over',
      () => client.classify({ input: 'x' }, { metadata, deadlineMs: 0 }),
      'DEADLINE_EXCEEDED',
    ],
  ] as const)('%s is %3$s', async (_name, call, code) => {
    expect((await faultOf(call())).code).toBe(code);
    expect([gateway.router.requests.length, gateway.host.requests.length]).toEqual([0, 0]);
  });

  it('tells of a deadline that passes, and cancels what it asked for', async () => {
    let cancelled = false;
    gateway.router.answer = (_request, { signal }) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          cancelled = true;
          reject(signal.reason as Error);
        });
      });
    const fault = await faultOf(client.classify({ input: 'x' }, { metadata, deadlineMs: 150 }));
    expect(fault.code).toBe('DEADLINE_EXCEEDED');
    await expect.poll(() => cancelled).toBe(true);
  });

  it('cancels what it asked for when the caller cancels', async () => {
    let cancelled = false;
    gateway.host.answer = (_request, { signal }) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          cancelled = true;
          reject(signal.reason as Error);
        });
      });
    const aborter = new AbortController();
    const work = faultOf(client.classify({ input: 'x' }, { metadata, signal: aborter.signal }));
    await expect.poll(() => gateway.host.requests.length).toBe(1);
    aborter.abort();
    expect((await work).code).toBe('CANCELLED');
    await expect.poll(() => cancelled).toBe(true);
  });
});

describe('errors on the wire', () => {
  const call = (path: string, payload: Buffer, headers: Metadata) =>
    new Promise<ServiceError>((resolve, reject) => {
      const channel = new Client(gateway.address, credentials.createInsecure());
      const identity = (value: Buffer) => value;
      channel.makeUnaryRequest(path, identity, identity, payload, headers, (error) => {
        channel.close();
        if (error) resolve(error);
        else reject(new Error('the call succeeded'));
      });
    });
  const authorised = () => {
    const headers = new Metadata();
    headers.set('authorization', `Bearer ${KEYS.acme.key}`);
    return headers;
  };
  const detailsOf = (error: ServiceError) => {
    const [raw] = error.metadata.get('grpc-status-details-bin');
    return fromBinary(rpcStatus.StatusSchema, Buffer.from(raw as Buffer));
  };

  it('are google.rpc.Status with ErrorInfo and BadRequest, readable without our client', async () => {
    const error = await call('/thalamus.gateway.v1.GatewayService/Classify', Buffer.alloc(0), authorised());
    expect(error.code).toBe(3);
    const status = detailsOf(error);
    expect(status.code).toBe(3);
    const [info, bad] = status.details;
    expect(info && anyUnpack(info, rpcDetails.ErrorInfoSchema)).toMatchObject({
      reason: 'REQUEST_INVALID',
      domain: 'thalamus',
    });
    expect(bad && anyUnpack(bad, rpcDetails.BadRequestSchema)?.fieldViolations).toMatchObject([
      { field: 'input' },
    ]);
  });

  it('for a prompt that is not UTF-8 are INVALID_ARGUMENT, and no service is asked', async () => {
    // Field 1, length-delimited, two bytes that no UTF-8 text holds.
    const payload = Buffer.from([0x0a, 0x02, 0xff, 0xfe]);
    const error = await call('/thalamus.gateway.v1.GatewayService/Classify', payload, authorised());
    expect([error.code, error.message]).toEqual([3, expect.stringContaining('UTF-8')]);
    expect(gateway.router.requests).toEqual([]);
  });
});
