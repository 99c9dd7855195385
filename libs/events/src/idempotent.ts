import { EVENT_HEADERS } from '@thalamus/contracts';
import type { Outcome, ReceivedRecord } from './event-bus.port.js';

type Handle = (record: ReceivedRecord, context: { readonly signal: AbortSignal }) => Promise<Outcome>;

/** Handles each event id once: an id among the last `capacity` acknowledged ones is acknowledged again without work. */
export function idempotent(handle: Handle, capacity = 10_000): Handle {
  const seen = new Set<string>();
  return async (record, context) => {
    const id = record.headers[EVENT_HEADERS.id];
    if (id !== undefined && seen.has(id)) return { kind: 'ack' };
    const outcome = await handle(record, context);
    if (outcome.kind === 'ack' && id !== undefined) {
      seen.add(id);
      if (seen.size > capacity) seen.delete(seen.values().next().value as string);
    }
    return outcome;
  };
}
