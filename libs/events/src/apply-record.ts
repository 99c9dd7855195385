import { ThalamusError, toThalamusError } from '@thalamus/errors';
import type { StoredRecord } from './embedded/log-store.js';
import type { FollowOptions } from './event-bus.port.js';

/**
 * Gives a record to a follower.
 * @throws EVENT_INVALID with topic, partition and offset when it cannot be applied: it must not be skipped.
 */
export function applyRecord(options: Pick<FollowOptions, 'onRecord'>, record: StoredRecord): void {
  try {
    options.onRecord({ ...record, attempt: 1 });
  } catch (cause) {
    const { topic, partition, offset } = record;
    throw new ThalamusError(
      'EVENT_INVALID',
      `Record ${offset} of ${topic}, partition ${partition}, cannot be read (${toThalamusError(cause).message}). Nothing after it is read: upgrade this service or mend the topic.`,
      { cause, metadata: { topic, partition: String(partition), offset: String(offset) } },
    );
  }
}
