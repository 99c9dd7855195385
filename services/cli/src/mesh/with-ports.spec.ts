import { createServer, type AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import type { UpOptions } from './plan.js';
import { withPorts } from './with-ports.js';

const options: UpOptions = {
  host: '127.0.0.1',
  httpPort: 0,
  grpcPort: 0,
  dataFolder: '/nowhere',
  kafkaBrokers: undefined,
  otlpEndpoint: undefined,
  logLevel: 'info',
  allowedUpstreams: [],
  replay: { port: undefined, pace: 1 },
};

async function listening<T>(work: (port: number) => Promise<T>): Promise<T> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    return await work((server.address() as AddressInfo).port);
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
}

describe('the ports of a mesh', () => {
  it('are free and different when any will do, that of the replay upstream too', async () => {
    const { httpPort, grpcPort, replay } = await withPorts(options);
    expect(new Set([httpPort, grpcPort, replay?.port]).size).toBe(3);
    for (const port of [httpPort, grpcPort, replay?.port ?? 0]) expect(port).toBeGreaterThanOrEqual(20_000);
  });

  it('leave out a fleet that is not wanted', async () => {
    expect((await withPorts({ ...options, replay: undefined })).replay).toBeUndefined();
  });

  it.each([
    ['--port', (port: number) => ({ httpPort: port })],
    ['--grpc-port', (port: number) => ({ grpcPort: port })],
    ['--replay-port', (port: number) => ({ replay: { port, pace: 1 } })],
  ])('that are taken are refused: %s', async (option, asked) => {
    await listening(async (port) => {
      await expect(withPorts({ ...options, ...asked(port) })).rejects.toMatchObject({
        code: 'PORT_IN_USE',
        message: expect.stringContaining(`${port} on 127.0.0.1 is taken`) as string,
      });
      await expect(withPorts({ ...options, ...asked(port) })).rejects.toThrow(option);
    });
  });

  it('must differ', async () => {
    const asked = { ...options, grpcPort: 4711, replay: { port: 4711, pace: 1 } };
    await expect(withPorts(asked)).rejects.toThrow('--grpc-port and --replay-port are both 4711');
  });
});
