import type { IHeaders, KafkaMessage, Message, Partitioners, RecordMetadata } from 'kafkajs';
import type { BusRecord, RecordPosition } from '../event-bus.port.js';
import type { StoredRecord } from '../embedded/log-store.js';
import { loadKafkajs } from './load-kafkajs.js';

/** Records on their way to the broker; remembers the partition of each, so that each gets its position. */
export class OutgoingRecords {
  readonly topicMessages: { topic: string; messages: Message[] }[] = [];
  private readonly messages: { readonly topic: string; readonly message: Message }[] = [];

  constructor(records: readonly BusRecord[]) {
    const byTopic = new Map<string, Message[]>();
    for (const { topic, key, value, headers } of records) {
      const message = { key, value: value === null ? null : Buffer.from(value), headers: { ...headers } };
      this.messages.push({ topic, message });
      const messages = byTopic.get(topic);
      if (messages) messages.push(message);
      else {
        const first = [message];
        byTopic.set(topic, first);
        this.topicMessages.push({ topic, messages: first });
      }
    }
  }

  /** Where each record lies: the broker says where the first of a partition does, the others follow it. */
  positions(answers: readonly RecordMetadata[]): RecordPosition[] {
    const next = new Map<string, bigint>();
    for (const { topicName, partition, baseOffset, offset } of answers)
      next.set(`${topicName}/${partition}`, BigInt(baseOffset ?? offset ?? '-1'));
    return this.messages.map(({ topic, message }) => {
      const partition = partitions.get(message) ?? 0;
      const place = `${topic}/${partition}`;
      const offset = next.get(place) ?? -1n;
      next.set(place, offset + 1n);
      return { topic, partition, offset };
    });
  }
}

const partitions = new WeakMap<Message, number>();

/** Kafka's own choice of a partition (murmur2 of the key), noted for the position of the record. */
export function createNotingPartitioner(): ReturnType<typeof Partitioners.DefaultPartitioner> {
  const choose = loadKafkajs().Partitioners.DefaultPartitioner();
  return (choice) => {
    const partition = choose(choice);
    partitions.set(choice.message, partition);
    return partition;
  };
}

/** A record of kafkajs in our form. */
export function fromMessage(topic: string, partition: number, message: KafkaMessage): StoredRecord {
  return {
    topic,
    partition,
    offset: BigInt(message.offset),
    key: message.key?.toString('utf8') ?? '',
    value: message.value === null ? null : new Uint8Array(message.value),
    headers: fromHeaders(message.headers),
    timestampMs: Number(message.timestamp),
  };
}

function fromHeaders(headers: IHeaders | undefined): Record<string, string> {
  const entries = Object.entries(headers ?? {}).flatMap(([key, value]) => {
    const single = Array.isArray(value) ? value[0] : value;
    return single === undefined ? [] : [[key, single.toString()] as const];
  });
  return Object.fromEntries(entries);
}
