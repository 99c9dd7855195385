import { DEAD_LETTER_SUFFIX } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import type { BusRecord } from './event-bus.port.js';

/**
 * Largest record, in bytes of key, headers and value together: what a Kafka broker takes by default, less its framing and
 * less the room that the facts of a dead letter need.
 */
export const MAX_RECORD_BYTES = 1_048_576 - 4_096;
/** Bytes that a dead letter may have beyond: error, attempts and origin in its headers. */
const DEAD_LETTER_ROOM = 3_072;

/** Bytes of key, headers and value. */
export function recordBytes({ key, value, headers }: BusRecord): number {
  let bytes = Buffer.byteLength(key) + (value?.byteLength ?? 0);
  for (const [name, text] of Object.entries(headers))
    bytes += Buffer.byteLength(name) + Buffer.byteLength(text);
  return bytes;
}

/** @throws EVENT_TOO_LARGE that names the topic and the size. */
export function checkRecordSizes(records: readonly BusRecord[]): void {
  for (const record of records) {
    const bytes = recordBytes(record);
    const room = record.topic.endsWith(DEAD_LETTER_SUFFIX) ? DEAD_LETTER_ROOM : 0;
    if (bytes > MAX_RECORD_BYTES + room)
      throw new ThalamusError(
        'EVENT_TOO_LARGE',
        `A record for ${record.topic} has ${bytes} bytes; at most ${MAX_RECORD_BYTES} are taken. Send less in one event, or a digest of what is stored elsewhere.`,
      );
  }
}

/** The records in order, cut so that each part has at most `maxBytes`; a broker takes that much of a partition at once. */
export function splitBySize(records: readonly BusRecord[], maxBytes = MAX_RECORD_BYTES): BusRecord[][] {
  const parts: BusRecord[][] = [];
  let part: BusRecord[] = [];
  let bytes = 0;
  for (const record of records) {
    const size = recordBytes(record) + 64;
    if (part.length > 0 && bytes + size > maxBytes) {
      parts.push(part);
      part = [];
      bytes = 0;
    }
    part.push(record);
    bytes += size;
  }
  if (part.length > 0) parts.push(part);
  return parts;
}
