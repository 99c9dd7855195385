import { ThalamusError } from '@thalamus/errors';
import type { Admin, Kafka, Producer } from 'kafkajs';
import type { BusRecord, RecordPosition } from '../event-bus.port.js';
import { checkRecordSizes, splitBySize } from '../record-size.js';
import { createNotingPartitioner, OutgoingRecords } from './kafka-records.js';
import { loadKafkajs } from './load-kafkajs.js';

/** How long the broker may take for one call of `publish`, in milliseconds. */
export const PUBLISH_TIMEOUT_MS = 10_000;

/** The idempotent producer of a bus. After a failure it is replaced: its sequence numbers are then out of step with the broker's. */
export class KafkaPublisher {
  private producer: Promise<Producer> | undefined;
  private readonly topics = new Set<string>();

  constructor(
    private readonly kafka: Kafka,
    private readonly admin: Admin,
  ) {}

  async connect(): Promise<void> {
    await this.connected();
  }

  async disconnect(): Promise<void> {
    const { producer } = this;
    this.producer = undefined;
    await (await producer?.catch(() => undefined))?.disconnect();
  }

  /** @throws what kafkajs throws, EVENT_TOO_LARGE, EVENT_INVALID, KAFKA_UNREACHABLE when the time is over. */
  async publish(records: readonly BusRecord[]): Promise<RecordPosition[]> {
    checkRecordSizes(records);
    let timer: NodeJS.Timeout | undefined;
    const deadline = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => {
        reject(
          new ThalamusError(
            'KAFKA_UNREACHABLE',
            `Kafka did not take ${records.length} records within ${PUBLISH_TIMEOUT_MS / 1000} s; they may or may not have been written. Check the brokers, then publish them again.`,
          ),
        );
      }, PUBLISH_TIMEOUT_MS);
    });
    try {
      return await Promise.race([this.send(records), deadline]);
    } catch (fault) {
      if (!ThalamusError.is(fault) || fault.code === 'KAFKA_UNREACHABLE')
        void this.disconnect().catch(() => undefined);
      throw fault;
    } finally {
      clearTimeout(timer);
    }
  }

  private async send(records: readonly BusRecord[]): Promise<RecordPosition[]> {
    await this.checkTopics(records);
    const producer = await this.connected();
    const positions: RecordPosition[] = [];
    for (const part of splitBySize(records)) {
      const outgoing = new OutgoingRecords(part);
      const answers = await producer.sendBatch({
        topicMessages: outgoing.topicMessages,
        acks: -1,
        compression: loadKafkajs().CompressionTypes.None,
      });
      positions.push(...outgoing.positions(answers));
    }
    return positions;
  }

  private connected(): Promise<Producer> {
    this.producer ??= this.make().catch((fault: unknown) => {
      this.producer = undefined;
      throw fault;
    });
    return this.producer;
  }

  private async make(): Promise<Producer> {
    const producer = this.kafka.producer({
      idempotent: true,
      maxInFlightRequests: 1,
      allowAutoTopicCreation: false,
      createPartitioner: createNotingPartitioner,
      retry: { retries: 8, initialRetryTime: 100, maxRetryTime: 1_000 },
    });
    await producer.connect();
    return producer;
  }

  private async checkTopics(records: readonly BusRecord[]): Promise<void> {
    const unknown = () => records.find(({ topic }) => !this.topics.has(topic));
    if (!unknown()) return;
    for (const topic of await this.admin.listTopics()) this.topics.add(topic);
    const missing = unknown();
    if (missing)
      throw new ThalamusError(
        'EVENT_INVALID',
        `The topic ${missing.topic} does not exist; apply the topics first.`,
      );
  }
}
