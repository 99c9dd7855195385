import { ThalamusError, toThalamusError } from '@thalamus/errors';
import { Pool, type Dispatcher } from 'undici';
import {
  NOT_ASKED,
  type ChatUpstream,
  type UpstreamAnswer,
  type UpstreamEvent,
  type UpstreamRequest,
  type UpstreamTarget,
} from '../../application/chat/chat-upstream.port.js';
import type { AddressGuard } from './address-guard.js';
import { refusal } from './refusals.js';
import { broken, parseObject, readEvents, usageOf } from './sse-events.js';

/** How upstreams are talked to. */
export interface OpenAiUpstreamOptions {
  /** Connections to one upstream. */
  readonly connections: number;
  readonly connectTimeoutMs: number;
  /** Largest silence within an answer. */
  readonly idleTimeoutMs: number;
  /** Value of a key reference; undefined when it is not there or not allowed. */
  readonly readKey: (reference: string) => string | undefined;
}

const MAX_ANSWER_BYTES = 8 * 1_048_576;

type Response = Dispatcher.ResponseData;

/** OpenAI-compatible endpoints over pooled connections. Redirects are not followed: they could lead anywhere. */
export class OpenAiUpstream implements ChatUpstream {
  private readonly pools = new Map<string, Pool>();

  constructor(
    private readonly guard: AddressGuard,
    private readonly options: OpenAiUpstreamOptions,
  ) {}

  async complete(target: UpstreamTarget, request: UpstreamRequest): Promise<UpstreamAnswer> {
    const response = await this.send(target, request, request.body);
    const text = await readText(response, target.expert);
    const body = parseObject(text, target.expert);
    if (!Array.isArray(body['choices'])) throw broken(target.expert, 'answered without choices');
    return { text, body, usage: usageOf(body['usage']) ?? { inputTokens: 0, outputTokens: 0 } };
  }

  async stream(target: UpstreamTarget, request: UpstreamRequest): Promise<AsyncIterable<UpstreamEvent>> {
    const options = { ...(request.body['stream_options'] as object | undefined), include_usage: true };
    const body = { ...request.body, stream: true, stream_options: options };
    const { signal, release } = leash(request.signal);
    const response = await this.send(target, { ...request, signal }, body);
    const type = String(response.headers['content-type'] ?? '');
    if (!type.startsWith('text/event-stream')) {
      response.body.destroy();
      throw broken(target.expert, `answered with ${type || 'no content type'} instead of a stream of events`);
    }
    const events = translate(readEvents(response.body, target.expert), target, request, release);
    // The first event decides whether this upstream answers at all; until then another one can be asked.
    const first = await events.next();
    return (async function* () {
      try {
        if (first.done === true) return;
        yield first.value;
        yield* events;
      } finally {
        // A reader who leaves at the first event must end the rest too.
        await events.return(undefined);
      }
    })();
  }

  async close(): Promise<void> {
    await Promise.all([...this.pools.values()].map((pool) => pool.destroy()));
  }

  private async send(
    target: UpstreamTarget,
    request: UpstreamRequest,
    body: Readonly<Record<string, unknown>>,
  ): Promise<Response> {
    const url = new URL(`${target.baseUrl.replace(/\/$/, '')}/${request.operation}`);
    const key = this.keyOf(target);
    const leftMs = Math.max(1, request.deadlineAtMs - Date.now());
    let response: Response;
    try {
      response = await this.pool(url).request({
        method: 'POST',
        path: url.pathname + url.search,
        headers: {
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
          ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
        },
        body: JSON.stringify({ ...body, model: target.model }),
        signal: request.signal,
        headersTimeout: leftMs,
        bodyTimeout: Math.min(leftMs, this.options.idleTimeoutMs),
      });
    } catch (fault) {
      throw unreachable(fault, target, request);
    }
    // A body that is let go before its end says so; nobody waits for that.
    response.body.on('error', () => undefined);
    if (response.statusCode === 200) return response;
    throw await refusal(response, target);
  }

  private pool(url: URL): Pool {
    let pool = this.pools.get(url.origin);
    if (!pool) {
      this.guard.check(url);
      pool = new Pool(url.origin, {
        connections: this.options.connections,
        connect: { timeout: this.options.connectTimeoutMs, lookup: this.guard.lookupFor(url) },
      });
      this.pools.set(url.origin, pool);
    }
    return pool;
  }

  private keyOf({ expert, keyReference }: UpstreamTarget): string | undefined {
    if (keyReference === '') return undefined;
    const value = this.options.readKey(keyReference);
    if (value !== undefined && value !== '') return value;
    throw new ThalamusError(
      'UPSTREAM_UNAVAILABLE',
      `The key of ${expert} is not there: ${keyReference} is empty or cannot be read.`,
      { metadata: { upstream: expert, ...NOT_ASKED } },
    );
  }
}

/** A signal that fires with another one until it is released: what has been read to its end is not to be broken off. */
function leash(signal: AbortSignal): { readonly signal: AbortSignal; readonly release: () => void } {
  const own = new AbortController();
  const pull = () => {
    own.abort(signal.reason);
  };
  if (signal.aborted) pull();
  else signal.addEventListener('abort', pull, { once: true });
  return {
    signal: own.signal,
    release: () => {
      signal.removeEventListener('abort', pull);
    },
  };
}

/** Failures in mid-stream in the words of the error table. */
async function* translate(
  events: AsyncGenerator<UpstreamEvent>,
  target: UpstreamTarget,
  request: UpstreamRequest,
  whenDone: () => void,
): AsyncGenerator<UpstreamEvent> {
  try {
    yield* events;
    whenDone();
  } catch (fault) {
    throw unreachable(fault, target, request);
  }
}

async function readText(response: Response, who: string): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response.body as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_ANSWER_BYTES) throw broken(who, `answered with more than ${MAX_ANSWER_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function unreachable(fault: unknown, target: UpstreamTarget, request: UpstreamRequest): ThalamusError {
  if (ThalamusError.is(fault)) return fault;
  if (request.signal.aborted) return toThalamusError(request.signal.reason);
  const code = (fault as { code?: string } | null)?.code ?? '';
  if (code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_BODY_TIMEOUT')
    return new ThalamusError('UPSTREAM_UNAVAILABLE', `${target.expert} did not answer in time.`, {
      cause: fault,
    });
  return new ThalamusError(
    'UPSTREAM_UNAVAILABLE',
    `${target.expert} cannot be reached${code && ` (${code})`}.`,
    {
      cause: fault,
      retryAfterMs: 1_000,
    },
  );
}
