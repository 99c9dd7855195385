import { ATTRIBUTES, DEAD_LETTER_RETENTION_MS, deadLetterTopic, METRICS } from '@thalamus/contracts';
import { toThalamusError, type ThalamusError } from '@thalamus/errors';
import { deadLetterOf, type EventBus, type ReceivedRecord } from '@thalamus/events';
import { counter, createLogger } from '@thalamus/telemetry';

/** Dead letters of records that are read without a consumer group. */
export class DeadLetters {
  private readonly logger = createLogger('release-evidence');

  constructor(private readonly bus: Pick<EventBus, 'publish' | 'ensureTopics'>) {}

  /** Makes the topics that dead letters of others go to. */
  async prepare(topics: readonly string[]): Promise<void> {
    await this.bus.ensureTopics(
      topics.map((topic) => ({
        ...{ name: deadLetterTopic(topic), partitions: 1, compacted: false },
        retentionMs: DEAD_LETTER_RETENTION_MS,
      })),
    );
  }

  /** Gives a record up. */
  bury(record: ReceivedRecord, error: ThalamusError): void {
    const { topic, partition, offset } = record;
    this.logger.error(
      { topic, partition, offset: String(offset), code: error.code, reason: error.message },
      'a record cannot be read: it becomes a dead letter',
    );
    counter(METRICS.deadLetters).add(1, {
      [ATTRIBUTES.messagingDestination]: topic,
      [ATTRIBUTES.errorType]: error.code,
    });
    this.bus.publish([deadLetterOf(record, 1, error)]).catch((fault: unknown) => {
      const { code, message } = toThalamusError(fault);
      this.logger.error(
        { topic, offset: String(offset), code, reason: message },
        'a dead letter was not written',
      );
    });
  }
}
