import { health } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { createClient, GrpcServer } from '../src/index.js';
import { closeAll, collect, failure, gate, serve } from './support/loopback.js';

const cleanups: (() => void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) cleanup();
  await closeAll();
});

const { SERVING, NOT_SERVING, SERVICE_UNKNOWN } = health.HealthCheckResponse_ServingStatus;
const ARTIFACTS = 'thalamus.artifact.v1.ArtifactService';

function healthOf(address: string) {
  const client = createClient(health.Health, { address, defaultDeadlineMs: 15_000 });
  cleanups.push(() => {
    client.close();
  });
  return client;
}

describe('health', () => {
  it('answers Check and List for the server and each service', async () => {
    const { address, server } = await serve({});
    const client = healthOf(address);
    for (const service of ['', ARTIFACTS]) expect((await client.check({ service })).status).toBe(SERVING);
    server.setServing(ARTIFACTS, false);
    expect((await client.check({ service: ARTIFACTS })).status).toBe(NOT_SERVING);
    expect(Object.keys((await client.list({})).statuses)).toContain(ARTIFACTS);
    expect(await failure(client.check({ service: 'no.such.Service' }))).toMatchObject({
      code: 'RESOURCE_NOT_FOUND',
    });
  });

  it('tells watchers every change, and of an unknown service that it is unknown', async () => {
    const { address, server } = await serve({});
    const client = healthOf(address);
    const watch = client.watch({ service: ARTIFACTS }, { deadlineMs: 'none' })[Symbol.asyncIterator]();
    expect((await watch.next()).value).toMatchObject({ status: SERVING });
    server.setServing(ARTIFACTS, false);
    expect((await watch.next()).value).toMatchObject({ status: NOT_SERVING });
    server.setServing(ARTIFACTS, true);
    expect((await watch.next()).value).toMatchObject({ status: SERVING });
    await watch.return?.();
    for await (const { status } of client.watch({ service: 'no.such.Service' })) {
      expect(status).toBe(SERVICE_UNKNOWN);
      break;
    }
  });
});

describe('drain', () => {
  it('tells watchers NOT_SERVING, ends their streams, and is not held up by them', async () => {
    const { address, server } = await serve({});
    const begun = gate();
    const statuses: number[] = [];
    const watching = (async () => {
      for await (const { status } of healthOf(address).watch({}, { deadlineMs: 'none' })) {
        statuses.push(status);
        begun.pass();
      }
    })();
    await begun.passed;
    await server.drain(2_000_000);
    await watching;
    expect(statuses).toEqual([SERVING, NOT_SERVING]);
  });

  it('lets unary calls and streams in flight finish, and refuses new ones', async () => {
    const [hold, begun, streaming] = [gate(), gate(), gate()];
    const { artifacts, server, address } = await serve({
      stat: async () => {
        begun.pass();
        await hold.passed;
        return { artifacts: [{ digest: 'whole' }] };
      },
      get: async function* () {
        yield { totalBytes: 1n };
        streaming.pass();
        await hold.passed;
        for (let index = 2n; index <= 40n; index++)
          yield { totalBytes: index, chunk: new Uint8Array(100_000) };
      },
    });
    const unary = artifacts.stat({});
    const stream = collect(artifacts.get({}));
    await Promise.all([begun.passed, streaming.passed]);
    const drained = server.drain(2_000_000);
    const late = createClient(health.Health, { address, defaultDeadlineMs: 15_000 });
    expect(await failure(late.check({}))).toMatchObject({ code: 'UPSTREAM_UNAVAILABLE' });
    late.close();
    hold.pass();
    expect((await unary).artifacts[0]?.digest).toBe('whole');
    expect(await stream).toHaveLength(40);
    await drained;
  });

  it('tells handlers, so that a watch without an end of its own ends', async () => {
    const begun = gate();
    const { artifacts, server } = await serve({
      get: async function* (_request, { draining }) {
        yield { totalBytes: 1n };
        await new Promise((resolve) => {
          draining.addEventListener('abort', resolve);
          begun.pass();
        });
        throw new ThalamusError('UPSTREAM_UNAVAILABLE', 'This replica stops; watch again.');
      },
    });
    const watching = failure(collect(artifacts.get({}, { deadlineMs: 'none' })));
    await begun.passed;
    await server.drain(2_000_000);
    expect(await watching).toMatchObject({ code: 'UPSTREAM_UNAVAILABLE' });
  });

  it('cancels what is still running at the bound', async () => {
    const [begun, aborted] = [gate(), gate()];
    const { artifacts, server } = await serve({
      stat: (_request, { signal }) => {
        signal.addEventListener('abort', aborted.pass);
        begun.pass();
        return new Promise(() => undefined);
      },
    });
    const unary = failure(artifacts.stat({}, { deadlineMs: 'none' }));
    await begun.passed;
    await server.drain(50);
    expect((await unary) as ThalamusError).toBeInstanceOf(ThalamusError);
    await aborted.passed;
  });
});

describe('start', () => {
  it('says which address is taken', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    cleanups.push(() => other.close());
    const { port } = other.address() as AddressInfo;
    const server = new GrpcServer({ host: '127.0.0.1', port, services: [] });
    const error = await failure(server.start());
    expect(error).toMatchObject({ code: 'PORT_IN_USE', metadata: { address: `127.0.0.1:${port}` } });
    expect((error as ThalamusError).message).toContain('THALAMUS_GRPC_PORT');
  });
});
