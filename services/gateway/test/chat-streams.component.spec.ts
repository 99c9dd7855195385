import { waitUntil } from '@thalamus/testing';
import type { ServerResponse } from 'node:http';
import { Agent, request, type IncomingMessage } from 'node:http';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { beginEvents, chunkOf, DONE, event } from './support/chat-upstream.js';
import { ChatMesh, chatRequest, errorOf } from './support/chat-mesh.js';
import { KEYS } from './support/gateway-under-test.js';

const STREAMS = 1_000;
/** Of 4 KiB to each stream: 160 MiB in all. */
const ROUNDS = 40;

let mesh: ChatMesh;
beforeAll(async () => {
  mesh = await ChatMesh.start({
    THALAMUS_MAX_IN_FLIGHT: String(STREAMS),
    THALAMUS_UPSTREAM_CONNECTIONS: String(STREAMS),
  });
});
afterAll(() => mesh.stop());

it('a thousand open streams are all served, one more is refused, and what they send is not kept', async () => {
  const open: ServerResponse[] = [];
  mesh.alpha.behave = (response) => {
    beginEvents(response);
    response.write(event(chunkOf('first')));
    open.push(response);
  };
  const agent = new Agent({ maxSockets: STREAMS });
  const clients: Client[] = [];
  for (let index = 0; index < STREAMS; index++) {
    clients.push(new Client(agent));
    // Connections come in waves, as the backlog of a socket takes them.
    if (index % 50 === 49)
      await waitUntil('the wave is in', () => clients.every(({ events }) => events >= 1));
  }
  expect(open.length).toBe(STREAMS);

  const refused = await mesh.chat({ model: 'beta' });
  expect([refused.status, errorOf(refused).code]).toEqual([429, 'EXPERT_OVERLOADED']);
  expect(refused.headers.get('retry-after')).toBe('1');

  await sendToAll(open, clients, 5);
  const before = heldBytes();
  await sendToAll(open, clients, ROUNDS);
  // What went through is garbage by now; nothing of it stays.
  const sent = ROUNDS * STREAMS * round.length;
  expect((heldBytes() - before) / sent).toBeLessThan(0.2);

  for (const response of open) response.end(DONE);
  await waitUntil('all streams have ended', () => clients.every(({ hasEnded }) => hasEnded), {
    timeoutMs: 60_000,
  });
  await waitUntil('there is room again', async () => (await mesh.chat({ model: 'beta' })).status === 200);
  agent.destroy();
  const server = mesh.gateway.server().server;
  await waitUntil(
    'the sockets of the clients are gone',
    () =>
      new Promise<boolean>((resolve, reject) => {
        server.getConnections((fault, count) => {
          if (fault) reject(fault);
          else resolve(count < 20);
        });
      }),
  );
}, 180_000);

const round = event(chunkOf('x'.repeat(4_096)));

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Bytes in use once the garbage is gone: unlike resident memory, they do not depend on when it is collected. */
function heldBytes(): number {
  collect();
  // What the first pass found without a reader, buffers above all, the second takes away.
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** Sends events to every client, each round once all have had the one before. */
async function sendToAll(open: readonly ServerResponse[], clients: readonly Client[], rounds: number) {
  for (let turn = 0; turn < rounds; turn++) {
    const wanted = (clients[0]?.events ?? 0) + 1;
    for (const response of open) response.write(round);
    await waitUntil('all clients have the event', () => clients.every(({ events }) => events >= wanted), {
      timeoutMs: 60_000,
    });
  }
}

/** A client that counts the events of its stream and keeps nothing. */
class Client {
  events = 0;
  hasEnded = false;

  constructor(agent: Agent) {
    const { port } = new URL(mesh.gateway.url);
    const body = JSON.stringify(chatRequest({ model: 'alpha', stream: true }));
    const asked = request({
      host: '127.0.0.1',
      port,
      path: '/v1/chat/completions',
      method: 'POST',
      agent,
      headers: { authorization: `Bearer ${KEYS.acme.key}`, 'content-type': 'application/json' },
    });
    asked.on('response', (response) => {
      this.count(response);
    });
    asked.end(body);
  }

  private count(response: IncomingMessage): void {
    response.on('data', (chunk: Buffer) => {
      for (let at = chunk.indexOf('\n\n'); at >= 0; at = chunk.indexOf('\n\n', at + 2)) this.events += 1;
    });
    response.on('end', () => {
      this.hasEnded = true;
    });
  }
}
