import type { FastifyReply } from 'fastify';
import { once } from 'node:events';

/** How a stream of server-sent events is sent. */
export interface SendEventsOptions {
  /** Aborted when the client has gone or its time is up. */
  readonly signal: AbortSignal;
  /** Makes the data of a last event before the end. */
  readonly tail: (() => string) | undefined;
  /** Data of the event that tells a failure in mid-answer: the status is out already. */
  readonly onFault: (fault: unknown) => string;
}

/** Writes events as the slowest reader takes them: nothing is read from the source while the socket is full. */
export async function sendEvents(
  reply: FastifyReply,
  events: AsyncIterable<string>,
  options: SendEventsOptions,
): Promise<void> {
  reply.hijack();
  const { raw } = reply;
  raw.writeHead(200, {
    ...(reply.getHeaders() as Record<string, string>),
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  });
  const write = async (data: string) => {
    if (!raw.write(`data: ${data}\n\n`)) await once(raw, 'drain', { signal: options.signal });
  };
  try {
    for await (const data of events) await write(data);
    if (options.tail) await write(options.tail());
    await write('[DONE]');
  } catch (fault) {
    const last = options.onFault(options.signal.aborted ? options.signal.reason : fault);
    // Who does not read will not read this either: nothing may wait for it beyond its time.
    if (raw.writableNeedDrain) raw.destroy();
    else if (!raw.destroyed) raw.write(`data: ${last}\n\n`);
  } finally {
    raw.end();
  }
}
