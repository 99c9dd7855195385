import { createServer, type AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { freePorts, requireFreePort } from './ports.js';

const HOST = '127.0.0.1';

describe('ports', () => {
  it('are free, different, and below those of outgoing connections', async () => {
    const ports = await freePorts(HOST, 20);
    expect(new Set(ports).size).toBe(20);
    expect(Math.max(...ports)).toBeLessThan(32_768);
  });

  it('that are taken are refused with the option that changes them', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, HOST, resolve));
    const { port } = server.address() as AddressInfo;
    await expect(requireFreePort(HOST, port, '--port')).rejects.toMatchObject({
      code: 'PORT_IN_USE',
      message: `Port ${port} on ${HOST} is taken. Stop the other program, or choose another port with --port; 0 picks a free one.`,
    });
    await new Promise((resolve) => server.close(resolve));
    await requireFreePort(HOST, port, '--port');
  });

  it('of an address that is not ours come to an end with the way out', async () => {
    await expect(freePorts('192.0.2.1', 1)).rejects.toMatchObject({ code: 'PORT_IN_USE' });
  });
});
