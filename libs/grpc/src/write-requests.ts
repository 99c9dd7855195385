import type { ClientDuplexStream, ClientWritableStream } from '@grpc/grpc-js';
import { once } from 'node:events';
import { untilAborted } from './until-aborted.js';

/**
 * Writes requests as fast as the server takes them. When the call ends first, the source is told to stop and the rest is
 * not asked for. Rejects only with a fault of the source.
 */
export async function writeRequests(
  call: ClientWritableStream<unknown> | ClientDuplexStream<unknown, unknown>,
  requests: AsyncIterable<unknown>,
): Promise<void> {
  const ended = new AbortController();
  const end = () => {
    ended.abort(new CallEnded());
  };
  for (const event of ['close', 'status', 'error']) call.once(event, end);
  const source = requests[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await untilAborted(source.next(), ended.signal);
      if (next.done) break;
      if (!call.write(next.value)) await once(call, 'drain', { signal: ended.signal });
    }
    call.end();
  } catch (fault) {
    // Not awaited: a source that is waiting for something stops when that comes.
    void Promise.resolve(source.return?.()).catch(() => undefined);
    if (!ended.signal.aborted) throw fault;
  }
}

/** Marks the end of a call, to tell it from faults of the source. */
class CallEnded extends Error {}
