import { Client, credentials, Metadata, Server, ServerCredentials, status as Code } from '@grpc/grpc-js';
import type { ServiceError } from '@grpc/grpc-js';
import { fromBinary } from '@bufbuild/protobuf';
import { anyUnpack } from '@bufbuild/protobuf/wkt';
import { artifactV1, rpcDetails, rpcStatus } from '@thalamus/contracts';
import { ERROR_CODES, ThalamusError, type ErrorCode } from '@thalamus/errors';
import { afterEach, describe, expect, it } from 'vitest';
import { createClient, MAX_MESSAGE_BYTES } from '../src/index.js';
import { closeAll, collect, failure, gate, serve } from './support/loopback.js';

const cleanups: (() => void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) cleanup();
  await closeAll();
});

/** A call of raw bytes, past our client, as another implementation would make it. */
async function rawCall(address: string, path: string, request: Buffer): Promise<ServiceError | Buffer> {
  const client = new Client(address, credentials.createInsecure());
  cleanups.push(() => {
    client.close();
  });
  const asIs = (bytes: Buffer) => bytes;
  return new Promise((resolve) => {
    client.makeUnaryRequest(
      path,
      asIs,
      asIs,
      request,
      new Metadata(),
      { deadline: Date.now() + 15_000 },
      (error, value) => {
        resolve(error ?? value ?? Buffer.alloc(0));
      },
    );
  });
}

const STAT = '/thalamus.artifact.v1.ArtifactService/Stat';

describe('errors on the wire', () => {
  it('are google.rpc.Status in the trailer: reason, domain, metadata, violations and delay', async () => {
    const { address } = await serve({
      stat: () => {
        throw new ThalamusError('EXPERT_OVERLOADED', 'The queue is full; try again later.', {
          metadata: { expert: 'banking77' },
          retryAfterMs: 1_500,
          violations: [{ field: 'digests', description: 'are too many' }],
        });
      },
    });
    const error = (await rawCall(address, STAT, Buffer.alloc(0))) as ServiceError;
    expect(error.code).toBe(Code.RESOURCE_EXHAUSTED);
    expect(error.details).toBe('The queue is full; try again later.');
    const raw = error.metadata.get('grpc-status-details-bin')[0];
    const status = fromBinary(rpcStatus.StatusSchema, raw as Buffer);
    expect(status).toMatchObject({ code: Code.RESOURCE_EXHAUSTED, message: error.details });
    const details = status.details.map((any) => [
      anyUnpack(any, rpcDetails.ErrorInfoSchema),
      anyUnpack(any, rpcDetails.RetryInfoSchema),
      anyUnpack(any, rpcDetails.BadRequestSchema),
    ]);
    const [info, retry, fields] = [details[0]?.[0], details[1]?.[1], details[2]?.[2]];
    expect(info).toMatchObject({
      reason: 'EXPERT_OVERLOADED',
      domain: 'thalamus',
      metadata: { expert: 'banking77' },
    });
    expect(retry).toMatchObject({ retryDelay: { seconds: 1n, nanos: 500_000_000 } });
    expect(fields).toMatchObject({ fieldViolations: [{ field: 'digests', description: 'are too many' }] });
  });

  it('come back as the error that was thrown, for every code of the table', async () => {
    let code: ErrorCode = 'INTERNAL';
    const { artifacts } = await serve({
      stat: () => {
        throw new ThalamusError(code, `This is ${code}.`, {
          metadata: { code },
          retryAfterMs: 250,
          violations: [{ field: 'a.b', description: 'must be c' }],
        });
      },
    });
    for (code of Object.keys(ERROR_CODES) as ErrorCode[]) {
      const error = await failure(artifacts.stat({}));
      expect(error).toBeInstanceOf(ThalamusError);
      expect(error).toMatchObject({
        code,
        message: `This is ${code}.`,
        metadata: { code },
        retryAfterMs: 250,
      });
      expect((error as ThalamusError).violations).toMatchObject([{ field: 'a.b', description: 'must be c' }]);
    }
  });

  it('tell nothing of an unforeseen fault, neither in a unary answer nor in a stream', async () => {
    const secret = 'the-prompt-of-a-caller';
    const { artifacts, address } = await serve({
      stat: () => {
        throw new TypeError(`cannot read ${secret}`);
      },
      get: async function* () {
        await Promise.reject(new Error(secret));
        yield {};
      },
    });
    for (const call of [artifacts.stat({}), collect(artifacts.get({}))]) {
      const error = (await failure(call)) as ThalamusError;
      expect(error.code).toBe('INTERNAL');
      expect(JSON.stringify([error.message, error.metadata, error.violations])).not.toContain(secret);
    }
    const raw = (await rawCall(address, STAT, Buffer.alloc(0))) as ServiceError;
    const everything = [
      raw.details,
      ...Object.values(raw.metadata.getMap()).map((value) => value.toString()),
    ].join();
    expect(everything).not.toContain(secret);
  });

  it('tell nothing of an answer that cannot be encoded', async () => {
    const { artifacts } = await serve({
      stat: () => Promise.resolve({ artifacts: [{ sizeBytes: 'the-prompt' as unknown as bigint }] }),
    });
    const error = (await failure(artifacts.stat({}))) as ThalamusError;
    expect(error.code).toBe('INTERNAL');
    expect(error.message).not.toContain('the-prompt');
  });
});

describe('errors that are not ours', () => {
  it.each([
    [Code.UNAVAILABLE, 'UPSTREAM_UNAVAILABLE'],
    [Code.INTERNAL, 'UPSTREAM_ERROR'],
    [Code.UNKNOWN, 'UPSTREAM_ERROR'],
    [Code.NOT_FOUND, 'UPSTREAM_ERROR'],
    [Code.UNAUTHENTICATED, 'UPSTREAM_ERROR'],
    [Code.PERMISSION_DENIED, 'UPSTREAM_ERROR'],
    [Code.RESOURCE_EXHAUSTED, 'UPSTREAM_ERROR'],
    [Code.UNIMPLEMENTED, 'METHOD_UNSUPPORTED'],
  ])('status %i becomes %s', async (code, expected) => {
    const server = new Server();
    const asIs = (bytes: Buffer) => bytes;
    const codec = { requestDeserialize: asIs, responseSerialize: asIs };
    const stat = {
      path: STAT,
      requestStream: false,
      responseStream: false,
      ...codec,
      requestSerialize: asIs,
      responseDeserialize: asIs,
    };
    server.addService(
      { Stat: stat },
      {
        Stat: (_call: unknown, callback: (error: object) => void) => {
          callback({ code, details: 'quoting the request' });
        },
      },
    );
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => {
        if (error) reject(error);
        else resolve(bound);
      });
    });
    const client = createClient(artifactV1.ArtifactService, {
      address: `127.0.0.1:${port}`,
      defaultDeadlineMs: 15_000,
    });
    cleanups.push(() => {
      client.close();
      server.forceShutdown();
    });
    const error = (await failure(client.stat({}))) as ThalamusError;
    expect(error.code).toBe(expected);
    expect(error.message).toContain(`127.0.0.1:${port} answered ${Code[code]}`);
    if (expected === 'UPSTREAM_ERROR') expect(error.message).not.toContain('quoting');
  });

  it('a server that is not there is UPSTREAM_UNAVAILABLE and names the address', async () => {
    const { server, address, artifacts } = await serve({});
    await server.drain(0);
    const error = (await failure(artifacts.stat({}))) as ThalamusError;
    expect(error.code).toBe('UPSTREAM_UNAVAILABLE');
    expect(error.message).toContain(address);
    expect(error.message).toMatch(
      /answered UNAVAILABLE: No connection established.*; see that its service runs, and try again\.$/,
    );
    expect(error.message).not.toContain('round_robin');
  });
});

describe('a client that has been closed', () => {
  it('answers every kind of call with UPSTREAM_UNAVAILABLE, and what was under way comes to its end', async () => {
    let answer: (value: object) => void = () => undefined;
    const begun = gate();
    const { artifacts, inference } = await serve({
      stat: () => {
        begun.pass();
        return new Promise((resolve) => (answer = resolve));
      },
    });
    const underWay = artifacts.stat({});
    await begun.passed;
    artifacts.close();
    inference.close();
    const nothing = (async function* () {})();
    const failures = [
      await failure(artifacts.stat({})),
      await failure(collect(artifacts.get({}))),
      await failure(artifacts.put(nothing)),
      await failure(collect(inference.modelStreamInfer(nothing))),
    ];
    for (const fault of failures) expect(fault).toMatchObject({ code: 'UPSTREAM_UNAVAILABLE' });
    answer({});
    expect((await underWay).artifacts).toEqual([]);
  });
});

describe('bad requests', () => {
  it('an unknown method is UNIMPLEMENTED, METHOD_UNSUPPORTED in our client', async () => {
    const { address } = await serve({});
    const raw = await rawCall(address, '/thalamus.artifact.v1.ArtifactService/Nothing', Buffer.alloc(0));
    expect(raw).toMatchObject({ code: Code.UNIMPLEMENTED });
  });

  it('a service that the server does not have is METHOD_UNSUPPORTED', async () => {
    const { address } = await serve({});
    const { releaseV1 } = await import('@thalamus/contracts');
    const client = createClient(releaseV1.ReleaseService, { address, defaultDeadlineMs: 15_000 });
    cleanups.push(() => {
      client.close();
    });
    const method = client.compare({});
    expect(await failure(Promise.resolve(method))).toMatchObject({ code: 'METHOD_UNSUPPORTED' });
  });

  it('bytes that are no message are REQUEST_INVALID, unquoted', async () => {
    const { address } = await serve({ stat: () => Promise.resolve({}) });
    const broken = [
      Buffer.from([0x0a, 0x20, 0x41]), // a text of 32 bytes of which one is there
      Buffer.from([0x0a, 0x02, 0xff, 0xfe]), // not UTF-8
      Buffer.from([0xff]), // half a tag
    ];
    for (const bytes of broken) {
      const raw = (await rawCall(address, STAT, bytes)) as ServiceError;
      expect(raw.code).toBe(Code.INVALID_ARGUMENT);
      expect(raw.details).toContain('is not a thalamus.artifact.v1.StatRequest');
    }
  });

  it('a message over the limit is REQUEST_TOO_LARGE, sent or received', async () => {
    const { artifacts, address } = await serve({ stat: () => Promise.resolve({}) });
    const long = 'x'.repeat(MAX_MESSAGE_BYTES + 1);
    expect(await failure(artifacts.stat({ digests: [long] }))).toMatchObject({ code: 'REQUEST_TOO_LARGE' });
    const raw = await rawCall(address, STAT, Buffer.alloc(MAX_MESSAGE_BYTES + 1));
    expect(raw).toMatchObject({ code: Code.RESOURCE_EXHAUSTED });
    expect((raw as ServiceError).details).toMatch(/larger than max/);
    // The server goes on serving.
    expect((await artifacts.stat({})).artifacts).toEqual([]);
  });
});
