import { slowGraph, waitUntil, writePicoBase, writePicoGraph, writePicoProbe } from '@thalamus/testing';
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { postHttp, side, text, type Answer } from './ask-http.js';
import { Host, PROBES, Registry } from './host-harness.js';

let registry: Registry;
let host: Host;
beforeAll(async () => {
  registry = await Registry.open();
  const { digest } = await writePicoBase(registry.path('pico'), { name: 'pico' });
  await registry.add('pico');
  const { labels, seed } = PROBES.animals;
  await writePicoProbe(registry.path('animals'), { name: 'animals', seed }, labels, { name: 'pico', digest });
  await registry.add('animals');
  await writePicoGraph(registry.path('slow'), { name: 'slow' }, slowGraph());
  await registry.add('slow');
  host = await Host.start(registry);
});
afterAll(async () => {
  await host.stop(0);
  await registry.close();
});

const post = (path: string, body: unknown) => postHttp(host.url, path, body);

describe('a client that leaves', () => {
  it('in the middle of a body harms nobody', async () => {
    const { port } = new URL(host.url);
    const socket = connect(Number(port), '127.0.0.1');
    await once(socket, 'connect');
    socket.write(
      'POST /v2/models/animals/infer HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{"inputs"',
    );
    socket.destroy();
    expect((await post('/v2/models/animals/infer', { inputs: [text('a')] })).status).toBe(200);
  });

  it('ends what it waited for', async () => {
    const failures = async () => {
      const { modelStats } = await host.client.modelStatistics({ name: 'slow' });
      return Number(modelStats[0]?.inferenceStats?.fail?.count ?? 0n);
    };
    const before = await failures();
    const body = JSON.stringify({ inputs: [side(3_000)] });
    const leave = new AbortController();
    const asked = fetch(`${host.url}/v2/models/slow/infer`, { method: 'POST', body, signal: leave.signal });
    setTimeout(() => {
      leave.abort();
    }, 50);
    await expect(asked).rejects.toThrow();
    await waitUntil('the host has seen the end of it', async () => (await failures()) > before);
  });
});

describe('what is no HTTP', () => {
  it.each([
    ['nonsense', 'HELLO\r\n\r\n', '400', 'REQUEST_INVALID'],
    [
      'headers without end',
      `GET /v2 HTTP/1.1\r\na: ${'x'.repeat(20_000)}\r\n\r\n`,
      '431',
      'HEADERS_TOO_LARGE',
    ],
  ])('%s is answered in the form of the protocol', async (_what, sent, status, code) => {
    const socket = connect(Number(new URL(host.url).port), '127.0.0.1');
    await once(socket, 'connect');
    socket.write(sent);
    let said = '';
    for await (const chunk of socket) said += String(chunk);
    expect(said).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(JSON.parse(said.split('\r\n\r\n')[1] ?? '')).toEqual({
      error: expect.stringContaining(code) as string,
    });
  });
});

describe('a server with bounds of its own', () => {
  it('ends what takes longer than it allows, and says when a queue is full', async () => {
    const small = await Host.start(registry, {
      THALAMUS_DATA: registry.path('small'),
      THALAMUS_REQUEST_TIMEOUT_MS: '150',
      THALAMUS_MAX_QUEUE: '1',
    });
    const at = (path: string, body: object) =>
      fetch(`${small.url}${path}`, { method: 'POST', body: JSON.stringify(body) });
    const late = await at('/v2/models/slow/infer', { inputs: [side(3_000)] });
    expect([late.status, await late.json()]).toEqual([
      504,
      { error: expect.stringContaining('DEADLINE_EXCEEDED') as string },
    ]);
    // One runs, one waits, and the third is told when to come back.
    const three = await Promise.all(
      [1, 2, 3].map(() => at('/v2/models/slow/infer', { inputs: [side(3_000)] })),
    );
    const full = three.filter(({ status }) => status === 429);
    expect(full.length).toBeGreaterThan(0);
    expect(Number(full[0]?.headers.get('retry-after'))).toBeGreaterThan(0);
    // What never fits is not told to.
    const large = await at('/v2/models/animals/infer', { inputs: [text('a', 'b', 'c')] });
    expect([large.status, large.headers.get('retry-after'), await large.json()]).toEqual([
      429,
      null,
      { error: expect.stringContaining('at most 1 may wait') as string },
    ]);
    await small.stop(0);
  });

  it('lets what is in flight end when it drains, and takes nothing new', async () => {
    const other = await Host.start(registry, { THALAMUS_DATA: registry.path('other') });
    const body = JSON.stringify({ inputs: [side(1_200)] });
    const inFlight = fetch(`${other.url}/v2/models/slow/infer`, { method: 'POST', body });
    await fetch(`${other.url}/v2/health/live`);
    const stopped = other.stop(20_000);
    const response = await inFlight;
    expect(response.headers.get('connection')).toBe('close');
    const answer = (await response.json()) as Answer['json'];
    expect(answer.outputs[0]?.data).toEqual([1_200 ** 3]);
    await stopped;
    await expect(fetch(`${other.url}/v2/health/live`)).rejects.toThrow();
  });
});
