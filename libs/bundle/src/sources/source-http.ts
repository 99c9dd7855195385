import { lookup } from 'node:dns/promises';
import { BlockList, isIP } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { ThalamusError } from '@thalamus/errors';
import type { SourceRequest } from './model-source.js';

/** How requests are tried, and given up. */
export interface HttpPatience {
  /** Wait for an answer to begin, and for each further piece of it, milliseconds. Default 30,000. */
  readonly silenceMs?: number;
  /** Tries before a fault that may pass is given up. Default 5. */
  readonly attempts?: number;
  /** Wait before the second try, milliseconds; doubles with each further one, up to 30 s, with jitter. Default 500. */
  readonly pauseMs?: number;
}

const MAX_REDIRECTS = 5;
const LONGEST_PAUSE_MS = 30_000;
const PASSING = new Set([408, 425, 429, 500, 502, 503, 504]);

/** Addresses that a public store has no reason to lead to: loopback, private, link-local, shared, reserved. */
const PRIVATE = new BlockList();
for (const [network, bits] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['224.0.0.0', 3],
] as const)
  PRIVATE.addSubnet(network, bits, 'ipv4');
for (const [network, bits] of [
  ['::', 127],
  ['fc00::', 7],
  ['fe80::', 10],
  ['ff00::', 8],
] as const)
  PRIVATE.addSubnet(network, bits, 'ipv6');

/** What an answer must be called when it is refused. */
export interface AskedFor {
  /** Source and file, for messages. */
  readonly what: string;
  readonly credentialsHint: string;
}

/**
 * Sends a GET and gives the answer once its headers are there, 2xx only. Redirects are followed by hand: to another host
 * without credentials, never from https to http, never to a private address of another host than was asked.
 * @throws PERMISSION_DENIED, RESOURCE_NOT_FOUND, UPSTREAM_UNAVAILABLE when tries are used up, UPSTREAM_ERROR for other answers
 */
export async function getWithRetry(
  request: SourceRequest,
  asked: AskedFor,
  { silenceMs = 30_000, attempts = 5, pauseMs = 500 }: HttpPatience = {},
): Promise<Response> {
  for (let attempt = 1; ; attempt++) {
    const outcome = await tryOnce(request, asked, silenceMs);
    if ('ok' in outcome) return outcome;
    if (attempt >= attempts) throw outcome.fault;
    const wait = outcome.retryAfterMs ?? pauseMs * 2 ** (attempt - 1) * (0.5 + Math.random() / 2);
    await pause(Math.min(wait, LONGEST_PAUSE_MS));
  }
}

interface Passing {
  readonly fault: ThalamusError;
  readonly retryAfterMs?: number | undefined;
}

async function tryOnce(
  request: SourceRequest,
  asked: AskedFor,
  silenceMs: number,
): Promise<Response | Passing> {
  let answer: Response;
  try {
    answer = await follow(request, asked, silenceMs);
  } catch (cause) {
    if (ThalamusError.is(cause)) throw cause;
    return { fault: unavailable(asked, cause instanceof Error ? reasonOf(cause) : 'no answer', cause) };
  }
  if (answer.ok) return answer;
  await answer.body?.cancel();
  const { status } = answer;
  if (PASSING.has(status)) {
    const seconds = Number(answer.headers.get('retry-after') ?? Number.NaN);
    return {
      fault: unavailable(asked, `it answers ${status}`),
      retryAfterMs: seconds >= 0 ? seconds * 1000 : undefined,
    };
  }
  throw refusedStatus(asked, status);
}

async function follow(
  { url, headers }: SourceRequest,
  asked: AskedFor,
  silenceMs: number,
): Promise<Response> {
  let at = url;
  // Sizes and ranges are of the bytes as they are stored.
  let sent: SourceRequest['headers'] = { ...headers, 'accept-encoding': 'identity' };
  for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
    const controller = new AbortController();
    const timer = setTimeout(() => {
      controller.abort(new Error(`silent for ${silenceMs} ms`));
    }, silenceMs);
    const answer = await fetch(at, { headers: sent, redirect: 'manual', signal: controller.signal }).finally(
      () => {
        clearTimeout(timer);
      },
    );
    const location = answer.headers.get('location');
    if (answer.status < 300 || answer.status >= 400 || location === null) return answer;
    await answer.body?.cancel();
    const next = new URL(location, at);
    await checkRedirect(url, at, next, asked);
    if (next.origin !== url.origin) sent = withoutCredentials(sent);
    at = next;
  }
  throw new ThalamusError('UPSTREAM_ERROR', `${asked.what} is redirected more than ${MAX_REDIRECTS} times.`);
}

async function checkRedirect(first: URL, from: URL, to: URL, { what }: AskedFor): Promise<void> {
  const refuse = (why: string) =>
    new ThalamusError(
      'PERMISSION_DENIED',
      `${what} is redirected to ${to.host}, ${why}; name that host as the endpoint if it is meant.`,
    );
  if (to.protocol !== 'https:' && (to.protocol !== 'http:' || from.protocol === 'https:'))
    throw refuse('away from https');
  if (to.hostname === first.hostname) return;
  const host = to.hostname.replace(/^\[|\]$/g, '');
  const addresses =
    isIP(host) === 0 ? await lookup(host, { all: true }) : [{ address: host, family: isIP(host) }];
  if (addresses.some(({ address, family }) => PRIVATE.check(address, family === 6 ? 'ipv6' : 'ipv4')))
    throw refuse('which is not on the public internet');
}

function withoutCredentials(headers: SourceRequest['headers']): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => !/^(authorization|x-amz-security-token)$/i.test(name)),
  );
}

function refusedStatus({ what, credentialsHint }: AskedFor, status: number): ThalamusError {
  if (status === 401 || status === 403)
    return new ThalamusError('PERMISSION_DENIED', `${what} may not be read (${status}). ${credentialsHint}`);
  if (status === 404)
    return new ThalamusError('RESOURCE_NOT_FOUND', `${what} does not exist; check its name and revision.`);
  if (status === 412)
    return new ThalamusError(
      'UPSTREAM_UNAVAILABLE',
      `${what} changed while it was fetched; run the command again.`,
    );
  return new ThalamusError('UPSTREAM_ERROR', `${what} cannot be fetched: the store answers ${status}.`);
}

/** The refusal of a store that does not answer. */
export function unavailable(
  { what }: Pick<AskedFor, 'what'>,
  reason: string,
  cause?: unknown,
): ThalamusError {
  return new ThalamusError(
    'UPSTREAM_UNAVAILABLE',
    `${what} cannot be fetched now: ${reason}. What is there is kept; run the command again to go on.`,
    { cause },
  );
}

function reasonOf(error: Error): string {
  const { cause } = error;
  return cause instanceof Error && cause.message !== '' ? cause.message : error.message;
}
