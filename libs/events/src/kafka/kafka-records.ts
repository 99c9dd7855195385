import type { IHeaders, KafkaMessage, RecordMetadata, TopicMessages } from 'kafkajs';
import type { BusRecord, RecordPosition } from '../event-bus.port.js';
import type { StoredRecord } from '../embedded/log-store.js';

/** Records in the form of kafkajs, by topic and in order. */
export function toTopicMessages(records: readonly BusRecord[]): TopicMessages[] {
  const byTopic = new Map<string, TopicMessages>();
  for (const { topic, key, value, headers } of records) {
    const entry = byTopic.get(topic) ?? { topic, messages: [] };
    entry.messages.push({ key, value: value === null ? null : Buffer.from(value), headers: { ...headers } });
    byTopic.set(topic, entry);
  }
  return [...byTopic.values()];
}

/** Positions from the broker's answers. */
export function toPositions(answers: readonly RecordMetadata[]): RecordPosition[] {
  return answers.map((answer) => ({
    topic: answer.topicName,
    partition: answer.partition,
    offset: BigInt(answer.baseOffset ?? answer.offset ?? '-1'),
  }));
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
