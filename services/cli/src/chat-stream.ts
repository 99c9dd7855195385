import { ThalamusError } from '@thalamus/errors';
import { gatewayError } from './gateway-client.js';

/** Longest line of a stream that is read, characters. */
const MAX_LINE = 1_048_576;

/** The events of a streamed chat answer, parsed, up to its end. @throws the error that the stream tells, UPSTREAM_UNAVAILABLE when it breaks off */
export async function* readChatEvents(body: AsyncIterable<Uint8Array>): AsyncGenerator {
  const decoder = new TextDecoder();
  let rest = '';
  try {
    for await (const bytes of body) {
      const lines = (rest + decoder.decode(bytes, { stream: true })).split('\n');
      rest = lines.pop() ?? '';
      if (rest.length > MAX_LINE)
        throw new ThalamusError('UPSTREAM_ERROR', 'A line of the answer has no end.');
      for (const line of lines) {
        const data = line.startsWith('data:') ? line.slice('data:'.length).trim() : '';
        if (data === '[DONE]') return;
        if (data !== '') yield parseEvent(data);
      }
    }
  } catch (cause) {
    throw ThalamusError.is(cause) ? cause : brokenOff(cause);
  }
  throw brokenOff();
}

function parseEvent(data: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch (cause) {
    throw new ThalamusError('UPSTREAM_ERROR', 'A part of the answer is not JSON; is it a Thalamus gateway?', {
      cause,
    });
  }
  const error = gatewayError(value);
  if (error) throw error;
  return value;
}

function brokenOff(cause?: unknown): ThalamusError {
  return new ThalamusError(
    'UPSTREAM_UNAVAILABLE',
    'The answer broke off: the gateway went away. Ask again.',
    {
      cause,
    },
  );
}
