import { waitUntil } from '@thalamus/testing';
import type { ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  beginEvents,
  chunkOf,
  DONE,
  event,
  failWith,
  type UpstreamBehaviour,
} from './support/chat-upstream.js';
import { ChatMesh, chatRequest, errorOf, eventsOf, UPSTREAM_KEY } from './support/chat-mesh.js';
import { KEYS } from './support/gateway-under-test.js';

const IDLE_MS = 400;
const PAUSE_MS = 300;
const HALF = event(chunkOf('lo')).slice(0, 20);
const TEN_MEGABYTES = 10 * 1_048_576;

let mesh: ChatMesh;
beforeAll(async () => {
  mesh = await ChatMesh.start({
    THALAMUS_UPSTREAM_IDLE_TIMEOUT_MS: String(IDLE_MS),
    THALAMUS_UPSTREAM_PAUSE_MS: String(PAUSE_MS),
  });
});
afterAll(() => mesh.stop());
beforeEach(() => mesh.reset());

/** An upstream that sends some bytes of a stream, and then what `next` does. */
const stream =
  (bytes: string | Uint8Array, next: (response: ServerResponse) => void): UpstreamBehaviour =>
  (response) => {
    beginEvents(response);
    response.write(bytes);
    next(response);
  };
const ends = (response: ServerResponse) => response.end();
const breaks = (response: ServerResponse) => setImmediate(() => response.destroy());
const waits = () => undefined;
const html: UpstreamBehaviour = (response) => {
  response.setHeader('content-type', 'text/html');
  response.end('<html>words of the upstream</html>');
};
const longLine: UpstreamBehaviour = stream('data: ', (response) => {
  response.end('x'.repeat(TEN_MEGABYTES));
});

describe('an upstream that has not begun to answer as it should', () => {
  it.each<[string, UpstreamBehaviour, number, string]>([
    ['HTML', html, 502, 'UPSTREAM_ERROR'],
    ['an event that is not JSON', stream('data: {"choices": [\n\n', ends), 502, 'UPSTREAM_ERROR'],
    ['an event that is no object', stream('data: 7\n\n', ends), 502, 'UPSTREAM_ERROR'],
    ['half a chunk', stream(HALF, ends), 502, 'UPSTREAM_ERROR'],
    ['half a chunk, then a broken connection', stream(HALF, breaks), 503, 'UPSTREAM_UNAVAILABLE'],
    ['a line of 10 MB', longLine, 502, 'UPSTREAM_ERROR'],
    ['bytes that are not UTF-8', stream(Uint8Array.of(0x64, 0xff, 0xfe, 10), ends), 502, 'UPSTREAM_ERROR'],
    ['an empty stream', stream('', ends), 502, 'UPSTREAM_ERROR'],
    ['comments without end', stream(': wait\n\n', waits), 503, 'UPSTREAM_UNAVAILABLE'],
    ['an error', stream(event({ error: { message: 'words of the upstream' } }), ends), 502, 'UPSTREAM_ERROR'],
    ['a closed connection', (response) => response.destroy(), 503, 'UPSTREAM_UNAVAILABLE'],
    ['status 401', failWith(401), 502, 'UPSTREAM_ERROR'],
    ['status 503', failWith(503), 503, 'UPSTREAM_UNAVAILABLE'],
  ])('%s: an error before the stream, or the next choice', async (_what, behaviour, status, code) => {
    mesh.alpha.behave = behaviour;
    const named = await mesh.chat({ model: 'alpha', stream: true });
    expect([named.status, errorOf(named).code]).toEqual([status, code]);
    expect(named.headers.get('content-type')).toMatch(/^application\/json/);
    expect(named.text).not.toContain('words of the upstream');
    expect((await mesh.completed(named)).errorCode).toBe(code);
    const routed = await mesh.chat({ stream: true });
    expect([routed.status, routed.headers.get('x-thalamus-expert')]).toEqual([200, 'beta']);
    expect(eventsOf(routed).at(-1)).toBe('[DONE]');
  });

  it.each<[string, UpstreamBehaviour, number, string]>([
    ['HTML', html, 502, 'UPSTREAM_ERROR'],
    ['half of its JSON', (response) => response.end('{"choices": ['), 502, 'UPSTREAM_ERROR'],
    [
      'more than it may',
      (response) => response.end(`{"choices":[],"x":"${'x'.repeat(TEN_MEGABYTES)}"}`),
      502,
      'UPSTREAM_ERROR',
    ],
    ['nothing', (response) => response.end(), 502, 'UPSTREAM_ERROR'],
  ])('a whole answer that is %s', async (_what, behaviour, status, code) => {
    mesh.alpha.behave = behaviour;
    const answer = await mesh.chat({ model: 'alpha' });
    expect([answer.status, errorOf(answer).code]).toEqual([status, code]);
    expect(answer.text).not.toContain('words of the upstream');
  });

  it('a redirect is not followed, wherever it leads', async () => {
    mesh.alpha.behave = failWith(307, { location: `${mesh.beta.baseUrl}/chat/completions` });
    const answer = await mesh.chat({ model: 'alpha' });
    expect([answer.status, errorOf(answer).code]).toEqual([502, 'UPSTREAM_ERROR']);
    expect(mesh.beta.asked.length).toBe(0);
  });

  it('a private address is not asked, though the registry has it', async () => {
    const { port } = new URL(mesh.beta.baseUrl);
    await mesh.gateway.addChatModel({ name: 'inside', baseUrl: `http://127.0.0.2:${port}/v1` });
    await mesh.gateway.addChatModel({ name: 'named-inside', baseUrl: `http://localhost:${port}/v1` });
    for (const model of ['inside', 'named-inside']) {
      const answer = await mesh.chat({ model });
      expect([answer.status, errorOf(answer).code]).toEqual([403, 'PERMISSION_DENIED']);
      expect(errorOf(answer).message).toContain('THALAMUS_UPSTREAM_ALLOW');
    }
    expect(mesh.beta.asked.length).toBe(0);
  });
});

describe('an upstream that fails in mid-answer', () => {
  const begun = event(chunkOf('Hel'));
  it.each<[string, UpstreamBehaviour, string]>([
    ['half a chunk', stream(begun + HALF, ends), 'UPSTREAM_ERROR'],
    ['half a chunk, then a broken connection', stream(begun + HALF, breaks), 'UPSTREAM_UNAVAILABLE'],
    ['HTML', stream(`${begun}<html>words of the upstream</html>\n\n`, ends), 'UPSTREAM_ERROR'],
    ['an event that is not JSON', stream(`${begun}data: words of the upstream\n\n`, ends), 'UPSTREAM_ERROR'],
    [
      'a line of 10 MB',
      stream(`${begun}data: `, (response) => response.end('x'.repeat(TEN_MEGABYTES))),
      'UPSTREAM_ERROR',
    ],
    ['an error', stream(begun + event({ error: 'words of the upstream' }), ends), 'UPSTREAM_ERROR'],
    ['silence', stream(begun, waits), 'UPSTREAM_UNAVAILABLE'],
    ['an end without [DONE]', stream(begun, ends), 'UPSTREAM_ERROR'],
  ])('%s: the stream ends with an error event, and nobody else is asked', async (_what, behaviour, code) => {
    mesh.alpha.behave = behaviour;
    const answer = await mesh.chat({ stream: true });
    expect([answer.status, answer.headers.get('x-thalamus-expert')]).toEqual([200, 'alpha']);
    const events = eventsOf(answer);
    expect(JSON.parse(events[0] ?? '')).toMatchObject({ choices: [{ delta: { content: 'Hel' } }] });
    expect(events.length).toBe(2);
    expect(errorOf(answer)).toMatchObject({
      code,
      type: 'server_error',
      request_id: answer.headers.get('x-request-id'),
    });
    expect(answer.text).not.toContain('words of the upstream');
    expect(mesh.beta.asked.length).toBe(0);
    expect(await mesh.completed(answer)).toMatchObject({ errorCode: code, expert: 'alpha' });
  });

  it('JSON over several lines is one event all the same', async () => {
    const lines = JSON.stringify(chunkOf('Hel'), null, 1).split('\n');
    mesh.alpha.behave = stream(`${lines.map((line) => `data: ${line}\n`).join('')}\n${DONE}`, ends);
    const events = eventsOf(await mesh.chat({ stream: true }));
    expect(JSON.parse(events[0] ?? '')).toEqual(chunkOf('Hel'));
    expect(events.at(-1)).toBe('[DONE]');
  });
});

describe('the time of a request', () => {
  const soon = { headers: { 'x-request-timeout-ms': '250' } };

  it('ends an answer that does not come, and the call of the upstream with it', async () => {
    mesh.alpha.behave = waits;
    const answer = await mesh.chat({}, soon);
    expect([answer.status, errorOf(answer).code]).toEqual([504, 'DEADLINE_EXCEEDED']);
    await waitUntil('the upstream is let go', () => mesh.alpha.abandoned === 1);
    expect(mesh.beta.asked.length).toBe(0);
  });

  it('ends a stream that has no end', async () => {
    mesh.alpha.behave = (response) => {
      beginEvents(response);
      const timer = setInterval(() => response.write(event(chunkOf('x'))), 20);
      response.once('close', () => {
        clearInterval(timer);
      });
    };
    const answer = await mesh.chat({ stream: true }, soon);
    expect(errorOf(answer).code).toBe('DEADLINE_EXCEEDED');
    await waitUntil('the upstream is let go', () => mesh.alpha.abandoned === 1);
    expect((await mesh.completed(answer)).errorCode).toBe('DEADLINE_EXCEEDED');
  });
});

describe('the circuit of an upstream', () => {
  it('opens after failures in a row, and closes when the upstream is back', async () => {
    mesh.alpha.behave = failWith(500);
    for (let turn = 0; turn < 5; turn++) await mesh.chat({ model: 'alpha' });
    const asked = mesh.alpha.asked.length;
    expect(asked).toBe(5);
    const left = await mesh.chat({ model: 'alpha' });
    expect([left.status, errorOf(left).message]).toEqual([503, expect.stringContaining('left alone')]);
    expect(left.headers.get('retry-after')).toBe('1');
    // The next choice answers meanwhile, as often as needed: nobody is asked twice.
    for (let turn = 0; turn < 20; turn++)
      expect((await mesh.chat()).headers.get('x-thalamus-expert')).toMatch(/beta|alpha/);
    mesh.alpha.reset();
    await waitUntil('the circuit closes', async () => (await mesh.chat({ model: 'alpha' })).status === 200);
    expect((await mesh.chat()).headers.get('x-thalamus-expert')).toBe('alpha');
  });

  it.each([true, false])(
    'names a sample of an upstream without a recording, streamed: %s',
    async (streamed) => {
      const error = { code: 'not_recorded', samples: ['x'.repeat(301), 'Say "hello"', UPSTREAM_KEY] };
      const refuses: UpstreamBehaviour = (response) => response.writeHead(404).end(JSON.stringify({ error }));
      mesh.beta.behave = refuses;
      mesh.alpha.behave = refuses;
      const answer = await mesh.chat({ model: 'beta', stream: streamed });
      expect([answer.status, errorOf(answer).code]).toEqual([404, 'RESOURCE_NOT_FOUND']);
      expect(errorOf(answer).message).toContain('such as "Say \\"hello\\""; "thalamus chat --samples"');
      // Alpha was sent a key, which it could quote.
      expect(errorOf(await mesh.chat({ model: 'alpha', stream: streamed })).message).not.toContain('such as');
      // Nobody else is asked: another one would not have recorded it either.
      const asked = mesh.beta.asked.length;
      expect((await mesh.chat({ stream: streamed })).status).toBe(404);
      expect(mesh.beta.asked.length).toBe(asked);
    },
  );

  it('does not open for requests that the upstream does not know', async () => {
    mesh.alpha.behave = failWith(404);
    for (let turn = 0; turn < 8; turn++) await mesh.chat({ model: 'alpha' });
    expect(mesh.alpha.asked.length).toBe(8);
  });
});

describe('a client', () => {
  it.each([true, false])('that leaves ends the call of the upstream, streamed: %s', async (streamed) => {
    mesh.alpha.behave = streamed ? stream(event(chunkOf('Hel')), waits) : waits;
    const leave = new AbortController();
    const id = `leaves-${String(streamed)}`;
    const asked = mesh.gateway
      .post('/v1/chat/completions', chatRequest({ stream: streamed }), {
        signal: leave.signal,
        headers: { 'x-request-id': id },
      })
      .catch(() => undefined);
    await waitUntil('the upstream is asked', () => mesh.alpha.asked.length === 1);
    if (streamed) await (await asked)?.body?.getReader().read();
    leave.abort();
    await waitUntil('the upstream is let go', () => mesh.alpha.abandoned === 1);
    const told = await waitUntil('its end is told', () =>
      mesh.gateway.completed.find(({ requestId }) => requestId === id),
    );
    expect(told.errorCode).toBe('CANCELLED');
  });

  it('that does not read keeps the upstream waiting: nothing is gathered for it', async () => {
    let sent = 0;
    const large = event(chunkOf('x'.repeat(32_768)));
    mesh.alpha.behave = (response) => {
      beginEvents(response);
      const more = () => {
        while (!response.destroyed && response.write(large)) sent += large.length;
        sent += large.length;
      };
      response.on('drain', more);
      more();
    };
    const socket = await slowReader();
    const stands = await stopsGrowing(() => sent);
    // What the sockets of two hops hold, and no more.
    expect(stands).toBeLessThan(48 * 1_048_576);
    socket.resume();
    await waitUntil('the reader gets more', () => sent > stands + 8 * 1_048_576);
    socket.destroy();
    await waitUntil('the upstream is let go', () => mesh.alpha.abandoned === 1);
  });
});

/** A client that sends a request for a stream and reads nothing. */
async function slowReader(): Promise<Socket> {
  const { port } = new URL(mesh.gateway.url);
  const socket = connect(Number(port), '127.0.0.1');
  socket.pause();
  socket.on('error', () => undefined);
  await new Promise((resolve) => socket.once('connect', resolve));
  const body = JSON.stringify(chatRequest({ model: 'alpha', stream: true }));
  socket.write(
    `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${KEYS.acme.key}\r\n` +
      `content-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
  return socket;
}

/** The value at which a number stands for a second. */
async function stopsGrowing(value: () => number): Promise<number> {
  const looks = 20;
  let last = -1;
  let same = 0;
  return waitUntil(
    'the number stands',
    () => {
      same = value() === last ? same + 1 : 0;
      last = value();
      return last > 0 && same >= looks ? last : undefined;
    },
    { everyMs: 50 },
  );
}
