import { describe, expect, it } from 'vitest';
import { readChatEvents } from './chat-stream.js';

async function* bytes(...parts: readonly (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield await Promise.resolve(typeof part === 'string' ? Buffer.from(part) : part);
}
const read = async (...parts: readonly (string | Uint8Array)[]) => {
  const events: unknown[] = [];
  for await (const event of readChatEvents(bytes(...parts))) events.push(event);
  return events;
};

describe('a streamed chat answer', () => {
  it('is read to its end, however it is cut into pieces', async () => {
    const whole = Buffer.from(
      ': a comment\n\ndata: {"a": "é"}\r\n\r\ndata:{"b": 2}\n\ndata: [DONE]\n\ndata: never\n\n',
    );
    const pieces = Array.from(whole, (_, at) => whole.subarray(at, at + 1));
    expect(await read(...pieces)).toEqual([{ a: 'é' }, { b: 2 }]);
    expect(await read(whole)).toEqual([{ a: 'é' }, { b: 2 }]);
  });

  it('that tells an error throws it', async () => {
    const text =
      'data: {"a": 1}\n\ndata: {"error": {"code": "UPSTREAM_UNAVAILABLE", "message": "It fell over."}}\n\n';
    await expect(read(text)).rejects.toMatchObject({
      code: 'UPSTREAM_UNAVAILABLE',
      message: 'It fell over.',
    });
  });

  it.each([
    ['breaks off', 'data: {"a": 1}\n\n', 'UPSTREAM_UNAVAILABLE'],
    ['is empty', '', 'UPSTREAM_UNAVAILABLE'],
    ['is not JSON', 'data: <html>\n\n', 'UPSTREAM_ERROR'],
    ['has a line without end', 'data: '.padEnd(2 ** 20 + 1, 'x'), 'UPSTREAM_ERROR'],
  ])('that %s is an error', async (_, text, code) => {
    await expect(read(text)).rejects.toMatchObject({ code });
  });
});
