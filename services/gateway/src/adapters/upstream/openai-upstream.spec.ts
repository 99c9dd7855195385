import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { UpstreamEvent, UpstreamTarget } from '../../application/chat/chat-upstream.port.js';
import { AddressGuard } from './address-guard.js';
import { OpenAiUpstream } from './openai-upstream.js';
import { MAX_EVENT_CHARACTERS } from './sse-events.js';

type Answer = (request: IncomingMessage, response: ServerResponse, body: Record<string, unknown>) => void;

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function upstreamThat(answer: Answer, options: { keyReference?: string; allow?: string[] } = {}) {
  const server = createServer((request, response) => {
    let text = '';
    request.on('data', (chunk: Buffer) => (text += chunk.toString()));
    request.on('end', () => {
      answer(request, response, JSON.parse(text) as Record<string, unknown>);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const port = (server.address() as AddressInfo).port;
  const client = new OpenAiUpstream(new AddressGuard(options.allow ?? [`127.0.0.1:${port}`]), {
    connections: 4,
    connectTimeoutMs: 1_000,
    idleTimeoutMs: 300,
    readKey: (reference) => (reference === 'env:X_API_KEY' ? 'secret' : undefined),
  });
  closers.push(
    () => new Promise((resolve) => (server.closeAllConnections(), server.close(resolve))),
    () => client.close(),
  );
  const target: UpstreamTarget = {
    expert: 'remote',
    version: '1',
    baseUrl: `http://127.0.0.1:${port}/v1`,
    model: 'their-model',
    keyReference: options.keyReference ?? '',
    price: { input: 0, output: 0 },
  };
  return { client, target };
}

const request = (overrides: { signal?: AbortSignal; deadlineAtMs?: number } = {}) => ({
  operation: 'chat/completions' as const,
  body: { messages: [{ role: 'user', content: 'hi' }] },
  signal: overrides.signal ?? new AbortController().signal,
  deadlineAtMs: overrides.deadlineAtMs ?? Date.now() + 5_000,
});

const chunk = (content: string) =>
  `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content } }] })}\n\n`;
const sse = (response: ServerResponse) => response.writeHead(200, { 'content-type': 'text/event-stream' });

async function collect(events: AsyncIterable<UpstreamEvent>): Promise<UpstreamEvent[]> {
  const all: UpstreamEvent[] = [];
  for await (const event of events) all.push(event);
  return all;
}

describe('a whole answer', () => {
  it('asks for the model by its name there, with the key, and reads usage', async () => {
    let seen: {
      body?: Record<string, unknown>;
      authorization?: string | undefined;
      url?: string | undefined;
    } = {};
    const { client, target } = await upstreamThat(
      (incoming, response, body) => {
        seen = { body, authorization: incoming.headers.authorization, url: incoming.url };
        response.setHeader('content-type', 'application/json');
        response.end(
          JSON.stringify({
            choices: [{ message: { content: 'yes' } }],
            usage: { prompt_tokens: 3, completion_tokens: 1 },
          }),
        );
      },
      { keyReference: 'env:X_API_KEY' },
    );
    const answer = await client.complete(target, request());
    expect(seen).toMatchObject({
      url: '/v1/chat/completions',
      authorization: 'Bearer secret',
      body: { model: 'their-model' },
    });
    expect(answer.usage).toEqual({ inputTokens: 3, outputTokens: 1 });
  });

  it.each([
    ['HTML', 'text/html', '<html>busy</html>', 'UPSTREAM_ERROR'],
    ['half of its JSON', 'application/json', '{"choices": [', 'UPSTREAM_ERROR'],
    ['a list', 'application/json', '[]', 'UPSTREAM_ERROR'],
    ['no choices', 'application/json', '{}', 'UPSTREAM_ERROR'],
  ])('that is %s is UPSTREAM_ERROR', async (_, type, text, code) => {
    const { client, target } = await upstreamThat((_request, response) => {
      response.setHeader('content-type', type);
      response.end(text);
    });
    await expect(client.complete(target, request())).rejects.toMatchObject({ code });
  });

  it.each([
    [302, 'UPSTREAM_ERROR'],
    [400, 'REQUEST_INVALID'],
    [401, 'UPSTREAM_ERROR'],
    [404, 'UPSTREAM_ERROR'],
    [429, 'RATE_LIMITED'],
    [500, 'UPSTREAM_UNAVAILABLE'],
    [503, 'UPSTREAM_UNAVAILABLE'],
  ])('with status %d is %s, without the words of the upstream', async (status, code) => {
    const { client, target } = await upstreamThat((_request, response) => {
      response.writeHead(status, { location: 'http://169.254.169.254/latest' });
      response.end('their words');
    });
    const fault = await client.complete(target, request()).catch((error: unknown) => error as Error);
    expect(fault).toMatchObject({ code });
    expect((fault as Error).message).not.toContain('their words');
  });

  it.each<[string | undefined, number, number]>([
    ['7', 7_000, 7_000],
    ['0', 1_000, 1_000],
    [undefined, 1_000, 1_000],
    ['soon', 1_000, 1_000],
    // A date has whole seconds, and some time passes on the way.
    [new Date(Date.now() + 3_600_000).toUTCString(), 3_000_000, 3_600_000],
    [new Date(0).toUTCString(), 1_000, 1_000],
  ])('that is out of rate limit says when to come back: Retry-After %s', async (header, least, most) => {
    const { client, target } = await upstreamThat((_request, response) => {
      response.writeHead(429, header === undefined ? {} : { 'retry-after': header }).end();
    });
    const fault = await client.complete(target, request()).catch((error: unknown) => error);
    const { retryAfterMs } = fault as { retryAfterMs: number };
    expect(retryAfterMs).toBeGreaterThanOrEqual(least);
    expect(retryAfterMs).toBeLessThanOrEqual(most);
  });

  it('that never comes is UPSTREAM_UNAVAILABLE once the time is up', async () => {
    const { client, target } = await upstreamThat(() => undefined);
    await expect(client.complete(target, request({ deadlineAtMs: Date.now() + 200 }))).rejects.toMatchObject({
      code: 'UPSTREAM_UNAVAILABLE',
    });
  });

  it('without its key is refused before anything is sent', async () => {
    const answer = vi.fn();
    const { client, target } = await upstreamThat(answer, { keyReference: 'env:OTHER_API_KEY' });
    await expect(client.complete(target, request())).rejects.toThrow(/env:OTHER_API_KEY/);
    expect(answer).not.toHaveBeenCalled();
  });

  it('from a private address is refused before anything is sent, literal or by name', async () => {
    const answer = vi.fn();
    const { client, target } = await upstreamThat(answer, { allow: [] });
    await expect(client.complete(target, request())).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    const byName = { ...target, baseUrl: target.baseUrl.replace('127.0.0.1', 'localhost') };
    await expect(client.complete(byName, request())).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    expect(answer).not.toHaveBeenCalled();
  });
});

describe('a streamed answer', () => {
  it('comes event by event, asks for usage, and ends with [DONE]', async () => {
    let asked: unknown;
    const { client, target } = await upstreamThat((_request, response, body) => {
      asked = body['stream_options'];
      sse(response);
      response.write(chunk('a'));
      // One event in two pieces, as networks cut them.
      const second = chunk('b');
      response.write(second.slice(0, 9));
      setTimeout(() => {
        response.write(second.slice(9));
        response.end(
          'data: {"choices":[],"usage":{"prompt_tokens":2,"completion_tokens":2}}\n\ndata: [DONE]\n\n',
        );
      }, 20);
    });
    const events = await collect(await client.stream(target, request()));
    expect(asked).toEqual({ include_usage: true });
    expect(events.map(({ usageOnly }) => usageOnly)).toEqual([false, false, true]);
    expect(events[2]?.usage).toEqual({ inputTokens: 2, outputTokens: 2 });
  });

  it.each<[string, Answer]>([
    ['HTML', (_q, response) => response.setHeader('content-type', 'text/html').end('<html>')],
    ['what is not JSON', (_q, response) => sse(response).end('data: {"choices"\n\n')],
    [
      'bytes that are not UTF-8',
      (_q, response) => sse(response).end(Buffer.from([0x64, 0xff, 0xfe, 0x0a, 0x0a])),
    ],
    ['nothing at all', (_q, response) => sse(response).end()],
    ['an error event', (_q, response) => sse(response).end('data: {"error":{"message":"x"}}\n\n')],
    [
      'one endless line',
      (_q, response) => sse(response).end(`data: ${'x'.repeat(10 * MAX_EVENT_CHARACTERS)}`),
    ],
  ])('that begins with %s is UPSTREAM_ERROR at once', async (_, answer) => {
    const { client, target } = await upstreamThat(answer);
    await expect(client.stream(target, request())).rejects.toMatchObject({ code: 'UPSTREAM_ERROR' });
  });

  it('that breaks off is UPSTREAM_ERROR after what came', async () => {
    const { client, target } = await upstreamThat((_request, response) => sse(response).end(chunk('a')));
    const events = await client.stream(target, request());
    const seen: string[] = [];
    await expect(
      (async () => {
        for await (const { data } of events) seen.push(data);
      })(),
    ).rejects.toMatchObject({ code: 'UPSTREAM_ERROR' });
    expect(seen).toHaveLength(1);
  });

  it('that falls silent is UPSTREAM_UNAVAILABLE', async () => {
    const { client, target } = await upstreamThat((_request, response) => {
      sse(response).write(chunk('a'));
    });
    await expect(collect(await client.stream(target, request()))).rejects.toMatchObject({
      code: 'UPSTREAM_UNAVAILABLE',
    });
  });

  it('ends at the upstream when the reader leaves', async () => {
    let closed: () => void = () => undefined;
    const gone = new Promise<void>((resolve) => (closed = resolve));
    const { client, target } = await upstreamThat((_request, response) => {
      response.on('close', closed);
      sse(response).write(chunk('a'));
      const timer = setInterval(() => response.write(chunk('b')), 10);
      response.on('close', () => {
        clearInterval(timer);
      });
    });
    for await (const event of await client.stream(target, request())) {
      expect(event.data).toContain('a');
      break;
    }
    await gone;
  });

  it('is read no faster than it is taken', async () => {
    let written = 0;
    const big = chunk('x'.repeat(64 * 1024));
    const { client, target } = await upstreamThat((_request, response) => {
      sse(response);
      const pump = () => {
        while (written < 2_000) {
          written += 1;
          if (!response.write(big)) {
            response.once('drain', pump);
            return;
          }
        }
        response.end('data: [DONE]\n\n');
      };
      pump();
    });
    const events = (await client.stream(target, request()))[Symbol.asyncIterator]();
    await events.next();
    // A paused reader: what has been written stops growing at what sockets and one parser hold.
    let before = -1;
    await vi.waitFor(
      () => {
        const now = written;
        const still = now === before;
        before = now;
        expect(still).toBe(true);
      },
      { timeout: 5_000, interval: 60 },
    );
    expect(written).toBeLessThan(400);
    await events.return?.(undefined);
  });
});
