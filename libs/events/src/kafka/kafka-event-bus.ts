import { deadLetterTopic } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { createLogger } from '@thalamus/telemetry';
import { CompressionTypes, Kafka, logLevel, type Admin, type Producer } from 'kafkajs';
import type {
  BusHealth,
  BusRecord,
  Campaign,
  CampaignOptions,
  EventBus,
  Follower,
  FollowOptions,
  RecordPosition,
  SubscribeOptions,
  Subscription,
  TopicSpec,
} from '../event-bus.port.js';
import { RecordProcessor } from '../record-processor.js';
import { traceSends } from '../trace-sends.js';
import { KafkaCampaign } from './kafka-campaign.js';
import { KafkaConsumer } from './kafka-consumer.js';
import { KafkaFollower } from './kafka-follower.js';
import { toPositions, toTopicMessages } from './kafka-records.js';

/** How the Kafka bus is made. */
export interface KafkaBusOptions {
  /** host:port of brokers to begin with. */
  readonly brokers: readonly string[];
  readonly clientId: string;
  /** How long `start` may try, in milliseconds. */
  readonly connectTimeoutMs: number;
}

const START_RETRY_MS = 250;

/** The event bus on Apache Kafka through kafkajs: idempotent producer, consumer groups, transactional leader. */
export class KafkaEventBus implements EventBus {
  private readonly kafka: Kafka;
  private readonly producer: Producer;
  private readonly admin: Admin;
  private readonly subscriptions = new Set<KafkaConsumer>();
  private readonly followers = new Set<KafkaFollower>();
  private readonly campaigns = new Set<KafkaCampaign>();
  private lastFailure: string | undefined;

  constructor(private readonly options: KafkaBusOptions) {
    const logger = createLogger('kafkajs');
    this.kafka = new Kafka({
      clientId: options.clientId,
      brokers: [...options.brokers],
      connectionTimeout: 2_000,
      retry: { initialRetryTime: 100, maxRetryTime: 5_000, retries: 8 },
      logLevel: logLevel.ERROR,
      logCreator: () => (entry) => {
        // Broker errors of the first seconds are retried; they are news only to someone who looks for them.
        logger.debug({ namespace: entry.namespace, detail: entry.log.message }, 'kafkajs');
      },
    });
    this.producer = this.kafka.producer({
      idempotent: true,
      maxInFlightRequests: 1,
      allowAutoTopicCreation: false,
      retry: { retries: 12, maxRetryTime: 3_000 },
    });
    this.admin = this.kafka.admin();
  }

  async start(): Promise<void> {
    const until = Date.now() + this.options.connectTimeoutMs;
    const probe = new Kafka({
      clientId: this.options.clientId,
      brokers: [...this.options.brokers],
      connectionTimeout: 1_000,
      retry: { retries: 0 },
      logLevel: logLevel.NOTHING,
    }).admin();
    for (;;) {
      try {
        await probe.connect();
        await probe.describeCluster();
        await probe.disconnect();
        break;
      } catch (cause) {
        if (Date.now() >= until) {
          throw new ThalamusError(
            'KAFKA_UNREACHABLE',
            `No Kafka broker answers at ${this.options.brokers.join(', ')}; start one, or set THALAMUS_KAFKA_BROKERS to where it is.`,
            { cause },
          );
        }
        await new Promise((resolve) => setTimeout(resolve, START_RETRY_MS));
      }
    }
    await Promise.all([this.producer.connect(), this.admin.connect()]);
  }

  async ensureTopics(specs: readonly TopicSpec[]): Promise<void> {
    const existing = new Set(await this.admin.listTopics());
    const topics = specs
      .filter(({ name }) => !existing.has(name))
      .map((spec) => ({
        topic: spec.name,
        numPartitions: spec.partitions,
        configEntries: [
          { name: 'cleanup.policy', value: spec.compacted ? 'compact' : 'delete' },
          ...(spec.retentionMs === undefined
            ? []
            : [{ name: 'retention.ms', value: String(spec.retentionMs) }]),
        ],
      }));
    if (topics.length === 0) return;
    try {
      await this.admin.createTopics({ topics, waitForLeaders: true });
    } catch (cause) {
      // Another process may have made them meanwhile.
      const now = new Set(await this.admin.listTopics());
      if (!topics.every(({ topic }) => now.has(topic))) throw this.translate(cause);
    }
  }

  async publish(records: readonly BusRecord[]): Promise<readonly RecordPosition[]> {
    if (records.length === 0) return [];
    return traceSends('kafka', records, async (traced) => {
      try {
        const answers = await this.producer.sendBatch({
          topicMessages: toTopicMessages(traced),
          acks: -1,
          compression: CompressionTypes.None,
        });
        this.lastFailure = undefined;
        return toPositions(answers);
      } catch (cause) {
        throw this.translate(cause);
      }
    });
  }

  async subscribe(options: SubscribeOptions): Promise<Subscription> {
    await this.ensureTopics(
      options.topics.map((topic) => ({ name: deadLetterTopic(topic), partitions: 1, compacted: false })),
    );
    const publishDeadLetter = async (record: BusRecord) => {
      await this.publish([record]);
    };
    const processor = new RecordProcessor(options, publishDeadLetter, 'kafka');
    const consumer = new KafkaConsumer(this.kafka, this.admin, options, processor);
    await consumer.start();
    this.subscriptions.add(consumer);
    return consumer;
  }

  async follow(options: FollowOptions): Promise<Follower> {
    const follower = new KafkaFollower(this.kafka, this.admin, options);
    await follower.start();
    this.followers.add(follower);
    return follower;
  }

  async campaign(options: CampaignOptions): Promise<Campaign> {
    const campaign = new KafkaCampaign(this.kafka, this.admin, this, options);
    this.campaigns.add(campaign);
    await campaign.start();
    return campaign;
  }

  health(): BusHealth {
    return this.lastFailure === undefined ? { ok: true } : { ok: false, reason: this.lastFailure };
  }

  async close(deadlineMs = 10_000): Promise<void> {
    await Promise.all([...this.campaigns].map((campaign) => campaign.resign()));
    await Promise.all([...this.subscriptions].map((subscription) => subscription.stop(deadlineMs)));
    await Promise.all([...this.followers].map((follower) => follower.stop()));
    await Promise.all([this.producer.disconnect(), this.admin.disconnect()]);
  }

  private translate(cause: unknown): unknown {
    if (ThalamusError.is(cause)) return cause;
    const type = (cause as { type?: string }).type ?? (cause as { cause?: { type?: string } }).cause?.type;
    if (type === 'MESSAGE_TOO_LARGE' || type === 'RECORD_LIST_TOO_LARGE') {
      return new ThalamusError(
        'EVENT_TOO_LARGE',
        'A record is larger than the broker accepts; send less in one event.',
        { cause },
      );
    }
    if (cause instanceof Error && cause.name.startsWith('KafkaJS')) {
      this.lastFailure = `Kafka at ${this.options.brokers.join(', ')} did not take a record: ${cause.message}`;
      return new ThalamusError('KAFKA_UNREACHABLE', `${this.lastFailure}.`, { cause });
    }
    return cause;
  }
}
