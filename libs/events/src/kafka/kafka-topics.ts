import type { Admin, ITopicConfig, Kafka } from 'kafkajs';
import type { TopicSpec } from '../event-bus.port.js';
import { brokerErrorType } from './kafka-errors.js';

/** How long a broker may take to make topics and choose who leads their partitions, milliseconds. */
const TOPICS_MS = 20_000;
const RETRY_MS = 100;

/** A broker that has just been given a partition, or has just lost it, says so; kafkajs does not ask again by itself. */
const MOVING = new Set(['NOT_LEADER_FOR_PARTITION', 'LEADER_NOT_AVAILABLE', 'UNKNOWN_TOPIC_OR_PARTITION']);

/** First and last offsets of the partitions of a topic; waits, within a bound, while brokers agree on who leads them. */
export async function topicEnds(kafka: Kafka, admin: Admin, topic: string) {
  const until = performance.now() + TOPICS_MS;
  try {
    return await admin.fetchTopicOffsets(topic);
  } catch (fault) {
    if (!MOVING.has(brokerErrorType(fault))) throw fault;
  }
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    // A new one each time: an admin goes on asking the broker that it knew as the leader.
    const fresh = kafka.admin();
    try {
      await fresh.connect();
      return await fresh.fetchTopicOffsets(topic);
    } catch (fault) {
      if (performance.now() >= until || !MOVING.has(brokerErrorType(fault))) throw fault;
    } finally {
      await fresh.disconnect().catch(() => undefined);
    }
  }
}

/** Makes the topics that do not exist, also beside another process that does the same; returns once they can be written. */
export async function ensureKafkaTopics(admin: Admin, specs: readonly TopicSpec[]): Promise<void> {
  const existing = new Set(await admin.listTopics());
  const missing = specs.filter(({ name }) => !existing.has(name));
  if (missing.length === 0) return;
  const until = performance.now() + TOPICS_MS;
  for (;;) {
    try {
      // Not waitForLeaders: kafkajs gives up at once when a fresh broker does not know its new topics yet.
      await admin.createTopics({ topics: missing.map(topicConfig), waitForLeaders: false });
      if (await haveLeaders(admin, missing)) return;
    } catch (fault) {
      if (performance.now() >= until) throw fault;
      if (await haveLeaders(admin, missing).catch(() => false)) return;
    }
    if (performance.now() >= until) return;
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

async function haveLeaders(admin: Admin, specs: readonly TopicSpec[]): Promise<boolean> {
  const { topics } = await admin.fetchTopicMetadata({ topics: specs.map(({ name }) => name) });
  return topics.every(
    ({ partitions }) => partitions.length > 0 && partitions.every(({ leader }) => leader >= 0),
  );
}

function topicConfig(spec: TopicSpec): ITopicConfig {
  const retention =
    spec.retentionMs === undefined ? [] : [{ name: 'retention.ms', value: String(spec.retentionMs) }];
  return {
    topic: spec.name,
    numPartitions: spec.partitions,
    configEntries: [{ name: 'cleanup.policy', value: spec.compacted ? 'compact' : 'delete' }, ...retention],
  };
}
