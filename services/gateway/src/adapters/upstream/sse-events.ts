import { ThalamusError } from '@thalamus/errors';
import { createParser } from 'eventsource-parser';
import type { Readable } from 'node:stream';
import { TextDecoder } from 'node:util';
import type { TokenUsage, UpstreamEvent } from '../../application/chat/chat-upstream.port.js';

/** Largest event, in characters. An upstream that sends a longer line is broken or hostile. */
export const MAX_EVENT_CHARACTERS = 1_048_576;
const DONE = '[DONE]';

/** How long a stream may take to end after [DONE], milliseconds, for its connection to be kept. */
const END_MS = 1_000;

/**
 * The events of a streamed answer, one at a time: the next chunk of the body is read only when the reader has taken what
 * came before. A stream that ends without [DONE], holds what is not JSON, or one endless line is UPSTREAM_ERROR.
 */
export async function* readEvents(body: Readable, who: string): AsyncGenerator<UpstreamEvent> {
  let waiting: string[] = [];
  let pending = 0;
  const parser = createParser({
    onEvent: (event) => {
      waiting.push(event.data);
      pending = 0;
    },
  });
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let isDone = false;
  try {
    for await (const chunk of body.iterator({ destroyOnReturn: false })) {
      const text = decode(decoder, chunk as Uint8Array, who);
      pending += text.length;
      parser.feed(text);
      if (pending > MAX_EVENT_CHARACTERS)
        throw broken(who, `sent a line of more than ${MAX_EVENT_CHARACTERS} characters`);
      const events = waiting;
      waiting = [];
      for (const data of events) {
        isDone = data === DONE;
        if (isDone) return;
        yield readEvent(data, who);
      }
    }
  } finally {
    // A connection whose answer has been read to its end serves the next request.
    if (isDone) letEnd(body);
    else body.destroy();
  }
  throw broken(who, 'broke off in the middle of its answer');
}

function letEnd(body: Readable): void {
  const timer = setTimeout(() => {
    body.destroy();
  }, END_MS).unref();
  body.once('close', () => {
    clearTimeout(timer);
  });
  body.resume();
}

function decode(decoder: TextDecoder, chunk: Uint8Array, who: string): string {
  try {
    return decoder.decode(chunk, { stream: true });
  } catch (cause) {
    throw broken(who, 'sent bytes that are not UTF-8', cause);
  }
}

function readEvent(data: string, who: string): UpstreamEvent {
  const value = parseObject(data, who);
  if (value['error'] !== undefined && value['error'] !== null)
    throw broken(who, 'reported an error in mid-answer');
  const usage = usageOf(value['usage']);
  const choices = value['choices'];
  // JSON over several lines would be several lines of the event, too; on one line it is one again.
  const line = data.includes('\n') ? JSON.stringify(value) : data;
  return {
    data: line,
    usage,
    usageOnly: usage !== undefined && Array.isArray(choices) && choices.length === 0,
  };
}

/** A JSON object, or UPSTREAM_ERROR. */
export function parseObject(text: string, who: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw broken(who, 'sent what is not JSON', cause);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw broken(who, 'sent JSON that is no object');
  return value as Record<string, unknown>;
}

/** Tokens as OpenAI reports them; undefined when they are not there. */
export function usageOf(value: unknown): TokenUsage | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { prompt_tokens: input, completion_tokens: output } = value as Record<string, unknown>;
  if (typeof input !== 'number') return undefined;
  return { inputTokens: input, outputTokens: typeof output === 'number' ? output : 0 };
}

/** What an upstream did wrong; never its text, which may quote the prompt. */
export function broken(who: string, what: string, cause?: unknown): ThalamusError {
  return new ThalamusError('UPSTREAM_ERROR', `${who} ${what}.`, { cause, metadata: { upstream: who } });
}
