import { waitUntil } from '@thalamus/testing';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { answers } from '../src/adapters/http/answer-schemas.js';
import { CLASSIFY } from './support/bad-input-cases.js';
import { GatewayUnderTest, KEYS } from './support/gateway-under-test.js';

const TASK = 'text-classification';
const PATIENCE_MS = 60_000;
const PATIENCE = { timeout: PATIENCE_MS };

let gateway: GatewayUnderTest;
beforeAll(async () => {
  gateway = await GatewayUnderTest.start();
  // Versions that are registered and that no host has.
  const version = { expert: 'clinic', version: '7', task: TASK, licence: 'Apache-2.0', labelCount: 2 };
  await gateway.register('version/clinic@7', { case: 'version', value: version });
  await gateway.addChatModel({ name: 'remote', baseUrl: 'http://127.0.0.1:1/v1' });
});
afterAll(() => gateway.stop());

const ask = async (model: string) => {
  const response = await gateway.post(CLASSIFY, { input: 'x', model });
  return { status: response.status, headers: response.headers, body: await response.json() };
};

describe('a version that no host has', () => {
  it('and that no channel names is 404 for good, with the versions that are served', async () => {
    const { status, headers, body } = await ask('clinic@7');
    const { error } = answers.error.parse(body);
    expect([status, error.code, error.param]).toEqual([404, 'EXPERT_NOT_FOUND', 'model']);
    expect(error.message).toBe(
      'clinic@7 is registered but not served: no channel names it. Served: clinic@1 (stable).',
    );
    expect(headers.get('retry-after')).toBeNull();
  });

  it('is 503 while a channel names it: it will be loaded', async () => {
    const value = { name: 'clinic', task: TASK, stable: '1', candidate: '7' };
    await gateway.register('expert/clinic', { case: 'expert', value });
    await waitUntil('the candidate is known', async () => (await ask('clinic@7')).status === 503);
    const { headers, body } = await ask('clinic@7');
    expect(answers.error.parse(body).error.code).toBe('EXPERT_NOT_READY');
    expect(headers.get('retry-after')).toBe('1');
  });

  it('because it is a remote model is 400 that says how to ask it', async () => {
    const call = gateway
      .oip()
      .modelInfer({ modelName: 'remote' }, { metadata: { authorization: `Bearer ${KEYS.acme.key}` } });
    await expect(call).rejects.toMatchObject({
      code: 'REQUEST_INVALID',
      message: expect.stringContaining('POST /v1/chat/completions') as unknown,
    });
  });
});

describe('a host that is gone', () => {
  it(
    'is let go: the connection to it is closed, and asked again it is connected to anew',
    PATIENCE,
    async () => {
      const door = await countedDoor(gateway.hostAddress);
      const residence = { hostId: 'host-2', address: door.address };
      try {
        await gateway.reside('cold', '1', residence);
        await waitUntil('cold is served', async () => (await ask('cold')).status === 200);
        expect(door.open()).toBe(1);
        await gateway.reside('cold', '1', { ...residence, leaseMs: -1 });
        // The transport looks every ten seconds for connections that nobody uses.
        await waitUntil('the connection is closed', () => door.open() === 0, { timeoutMs: PATIENCE_MS / 2 });
        expect((await ask('cold')).status).toBe(503);
        await gateway.reside('cold', '1', residence);
        await waitUntil('cold is served again', async () => (await ask('cold')).status === 200);
        expect(door.open()).toBe(1);
      } finally {
        await door.close();
      }
    },
  );
});

/** A door to a server that counts the connections that are open through it. */
async function countedDoor(address: string) {
  const [host = '', port = ''] = address.split(':');
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    const onward = connect(Number(port), host);
    sockets.add(socket);
    socket.on('close', () => {
      sockets.delete(socket);
      onward.destroy();
    });
    for (const side of [socket, onward]) side.on('error', () => undefined);
    onward.on('close', () => socket.destroy());
    socket.pipe(onward).pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    open: () => sockets.size,
    close: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}
