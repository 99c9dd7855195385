import { describe, expect, it } from 'vitest';
import { eventsOf } from './events.js';

function streamOf(chunks: readonly (string | Uint8Array)[]): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  return new ReadableStream({
    start(controller) {
      for (const chunk of chunks)
        controller.enqueue(typeof chunk === 'string' ? encoder.encode(chunk) : chunk);
      controller.close();
    },
  });
}

async function all(chunks: readonly (string | Uint8Array)[]): Promise<string[]> {
  const found: string[] = [];
  for await (const data of eventsOf(streamOf(chunks))) found.push(data);
  return found;
}

describe('eventsOf', () => {
  it('finds events whatever the chunks', async () => {
    expect(await all(['data: {"a":', '1}\n', '\ndata: two\r\n\r\n', 'data: cut off'])).toEqual([
      '{"a":1}',
      'two',
    ]);
  });
  it('joins the lines of one event and leaves out comments and names', async () => {
    expect(await all([': keep-alive\n\nevent: x\ndata: one\ndata:two\n\n'])).toEqual(['one\ntwo']);
  });
  it('keeps white space after the first space', async () => {
    expect(await all(['data:   indented\n\n'])).toEqual(['  indented']);
  });
  it('puts characters together that chunks cut in two', async () => {
    const bytes = new TextEncoder().encode('data: €\n\n');
    expect(await all([bytes.slice(0, 7), bytes.slice(7)])).toEqual(['€']);
  });
  it('cancels the stream when its reader leaves', async () => {
    let cancelled = false;
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        controller.enqueue(new TextEncoder().encode('data: x\n\n'));
      },
      cancel() {
        cancelled = true;
      },
    });
    for await (const data of eventsOf(endless)) {
      expect(data).toBe('x');
      break;
    }
    expect(cancelled).toBe(true);
  });
});
