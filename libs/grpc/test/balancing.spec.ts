import { artifactV1 } from '@thalamus/contracts';
import { connect, createServer, type AddressInfo, type Server } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { createClient } from '../src/index.js';
import { closeAll, gate, serve } from './support/loopback.js';

/** How long, and how often, a test looks whether something has come. */
const WAIT = { timeout: 15_000, interval: 10 };
const cleanups: (() => void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) cleanup();
  await closeAll();
});

const nothing = () => Promise.resolve({ artifacts: [] });

function clientOf(address: string) {
  const client = createClient(artifactV1.ArtifactService, { address, defaultDeadlineMs: 15_000 });
  cleanups.push(() => {
    client.close();
  });
  return client;
}

describe('a client of a name with several addresses', () => {
  it('takes them in turn', async () => {
    const served = [0, 0];
    const counting = (index: number) =>
      serve({
        stat: () => {
          served[index] = (served[index] ?? 0) + 1;
          return nothing();
        },
      });
    const [one, two] = [await counting(0), await counting(1)];
    const client = clientOf(`ipv4:${one.address},${two.address}`);
    // The first calls may go to whichever connection stands first.
    await vi.waitFor(async () => {
      await client.stat({ digests: [] });
      expect(served.every((count) => count > 0)).toBe(true);
    }, WAIT);
    served.fill(0);
    for (let call = 0; call < 20; call++) await client.stat({ digests: [] });
    expect(served).toEqual([10, 10]);
  });

  it('goes on with the others when one has gone', async () => {
    const [one, two] = [await serve({ stat: nothing }), await serve({ stat: nothing })];
    const client = clientOf(`ipv4:${one.address},${two.address}`);
    await client.stat({ digests: [] });
    await one.server.drain(0);
    for (let call = 0; call < 20; call++)
      await expect(client.stat({ digests: [] })).resolves.toMatchObject({ artifacts: [] });
  });
});

describe('a connection that has grown old', () => {
  it('takes no new calls, so that clients connect again, and lets those that run end', async () => {
    const open = gate();
    const { server } = await serve(
      {
        stat: nothing,
        get: async function* () {
          yield { totalBytes: 1n };
          await open.passed;
          yield { totalBytes: 2n };
        },
      },
      {},
      { connectionAgeMs: 100 },
    );
    const proxy = await countingProxy(server.port);
    const client = clientOf(proxy.address);
    const stream = client.get({ digest: 'x' })[Symbol.asyncIterator]();
    expect((await stream.next()).value).toMatchObject({ totalBytes: 1n });
    await vi.waitFor(async () => {
      await client.stat({ digests: [] });
      expect(proxy.connections()).toBeGreaterThanOrEqual(3);
    }, WAIT);
    open.pass();
    expect((await stream.next()).value).toMatchObject({ totalBytes: 2n });
    expect((await stream.next()).done).toBe(true);
  });
});

/** Counts the connections to a port. */
async function countingProxy(port: number): Promise<{ readonly address: string; connections(): number }> {
  let count = 0;
  const server: Server = createServer((socket) => {
    count += 1;
    const onward = connect(port, '127.0.0.1');
    for (const end of [socket, onward])
      end.on('error', () => {
        socket.destroy();
        onward.destroy();
      });
    socket.pipe(onward).pipe(socket);
    cleanups.push(() => {
      socket.destroy();
      onward.destroy();
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  cleanups.push(() => {
    server.close();
  });
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    connections: () => count,
  };
}
