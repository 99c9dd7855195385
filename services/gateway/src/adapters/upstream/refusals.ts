import { ThalamusError } from '@thalamus/errors';
import type { Dispatcher } from 'undici';
import { z } from 'zod';
import type { UpstreamTarget } from '../../application/chat/chat-upstream.port.js';
import { broken } from './sse-events.js';

const MAX_REFUSAL_BYTES = 65_536;
const DEFAULT_RETRY_MS = 1_000;
/** A recorded prompt beyond this is not quoted in an error. */
const MAX_SAMPLE_LENGTH = 300;

/** How an upstream that replays recorded answers says that it has none to a prompt. */
const notRecordedSchema = z.looseObject({
  error: z.looseObject({ code: z.literal('not_recorded'), samples: z.array(z.string()).optional() }),
});

/**
 * What a status other than 200 means for the caller. The upstream's own words are not passed on: they may quote secrets.
 */
export async function refusal(
  response: Dispatcher.ResponseData,
  target: UpstreamTarget,
): Promise<ThalamusError> {
  const { expert } = target;
  const text = await readStart(response.body);
  const status = response.statusCode;
  const retryAfterMs = retryAfter(response.headers['retry-after']);
  const metadata = { upstream: expert, status: String(status) };
  if (status === 429)
    return new ThalamusError('RATE_LIMITED', `${expert} is out of rate limit.`, { retryAfterMs, metadata });
  if (status === 404)
    return (
      notRecorded(text, target) ??
      new ThalamusError('UPSTREAM_ERROR', `${expert} does not know what was asked (404).`, { metadata })
    );
  if (status === 400 || status === 422)
    return new ThalamusError(
      'REQUEST_INVALID',
      `${expert} refuses the request (${status}); its parameters do not suit this model.`,
      { metadata },
    );
  if (status >= 500)
    return new ThalamusError('UPSTREAM_UNAVAILABLE', `${expert} failed (${status}).`, {
      retryAfterMs,
      metadata,
    });
  return broken(expert, `answered with status ${status}`);
}

/** Milliseconds of a Retry-After, which is seconds or a date; a second where there is none. */
function retryAfter(header: string | string[] | undefined): number {
  const text = String(header ?? '');
  const seconds = /^\d+$/.test(text) ? Number(text) : (Date.parse(text) - Date.now()) / 1000;
  return seconds > 0 ? seconds * 1000 : DEFAULT_RETRY_MS;
}

/** A prompt without a recording is the caller's to change: another upstream would not know it either. */
function notRecorded(text: string, { expert, keyReference }: UpstreamTarget): ThalamusError | undefined {
  const result = notRecordedSchema.safeParse(parse(text));
  if (!result.success) return undefined;
  // Who was sent a key could quote it.
  const samples = keyReference === '' ? (result.data.error.samples ?? []) : [];
  const sample = samples.find(({ length }) => length <= MAX_SAMPLE_LENGTH);
  const advice = sample === undefined ? '' : `, such as ${JSON.stringify(sample)}`;
  return new ThalamusError(
    'RESOURCE_NOT_FOUND',
    `${expert} replays recorded answers and has none to this prompt. Ask one of its samples${advice}; "thalamus chat --samples" lists them.`,
    {
      metadata: { upstream: expert, status: '404' },
      violations: [{ field: 'messages', description: 'no answer to this prompt is recorded' }],
    },
  );
}

/** The first bytes of a body; what is longer or breaks off is no refusal that we know. */
async function readStart(body: Dispatcher.ResponseData['body']): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > MAX_REFUSAL_BYTES) return '';
      chunks.push(chunk);
    }
  } catch {
    return '';
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
