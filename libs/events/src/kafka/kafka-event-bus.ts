import { DEAD_LETTER_RETENTION_MS, deadLetterTopic } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { createLogger } from '@thalamus/telemetry';
import type { Admin, Kafka } from 'kafkajs';
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
import { translateKafka } from './kafka-errors.js';
import { KafkaFollower } from './kafka-follower.js';
import { KafkaPublisher } from './kafka-publisher.js';
import { ensureKafkaTopics } from './kafka-topics.js';
import { loadKafkajs } from './load-kafkajs.js';

/** How the Kafka bus is made. */
export interface KafkaBusOptions {
  /** host:port of brokers to begin with. */
  readonly brokers: readonly string[];
  readonly clientId: string;
  /** How long `start` may try, in milliseconds. */
  readonly connectTimeoutMs: number;
}

const START_RETRY_MS = 250;
const PING_MS = 1_000;
const REQUEST_TIMEOUT_MS = 8_000;

/** The event bus on Apache Kafka through kafkajs: idempotent producer, consumer groups, transactional leader. */
export class KafkaEventBus implements EventBus {
  private readonly kafka: Kafka;
  private readonly publisher: KafkaPublisher;
  private readonly admin: Admin;
  private readonly subscriptions = new Set<KafkaConsumer>();
  private readonly followers = new Set<Follower>();
  private readonly campaigns = new Set<KafkaCampaign>();
  private lastFailure: string | undefined;
  private ping: NodeJS.Timeout | undefined;
  private closed = false;

  constructor(private readonly options: KafkaBusOptions) {
    const logger = createLogger('kafkajs');
    const { Kafka, logLevel } = loadKafkajs();
    this.kafka = new Kafka({
      clientId: options.clientId,
      brokers: [...options.brokers],
      connectionTimeout: 2_000,
      requestTimeout: REQUEST_TIMEOUT_MS,
      retry: { initialRetryTime: 100, maxRetryTime: 5_000, retries: 8 },
      logLevel: logLevel.ERROR,
      logCreator: () => (entry) => {
        // Broker errors of the first seconds are retried; they are news only to someone who looks for them.
        logger.debug({ namespace: entry.namespace, detail: entry.log.message }, 'kafkajs');
      },
    });
    this.admin = this.kafka.admin();
    this.publisher = new KafkaPublisher(this.kafka, this.admin);
  }

  async start(): Promise<void> {
    const until = Date.now() + this.options.connectTimeoutMs;
    for (;;) {
      try {
        await this.probe();
        break;
      } catch (cause) {
        if (Date.now() >= until) throw this.unreachable(cause);
        await new Promise((resolve) => setTimeout(resolve, START_RETRY_MS));
      }
    }
    try {
      await Promise.all([this.publisher.connect(), this.admin.connect()]);
    } catch (cause) {
      throw this.unreachable(cause);
    }
  }

  async ensureTopics(specs: readonly TopicSpec[]): Promise<void> {
    await this.translated(ensureKafkaTopics(this.admin, specs));
  }

  async publish(records: readonly BusRecord[]): Promise<readonly RecordPosition[]> {
    if (records.length === 0) return [];
    return traceSends('kafka', records, async (traced) => {
      try {
        return await this.publisher.publish(traced);
      } catch (cause) {
        throw this.failed(cause);
      }
    });
  }

  async subscribe(options: SubscribeOptions): Promise<Subscription> {
    await this.ensureTopics(
      options.topics.map((topic) => ({
        name: deadLetterTopic(topic),
        partitions: 1,
        compacted: false,
        retentionMs: DEAD_LETTER_RETENTION_MS,
      })),
    );
    const publishDeadLetter = async (record: BusRecord) => {
      await this.publish([record]);
    };
    const processor = new RecordProcessor(options, publishDeadLetter, 'kafka');
    const consumer = new KafkaConsumer(this.kafka, this.admin, options, processor, (fault) => {
      this.failed(fault);
    });
    this.subscriptions.add(consumer);
    await this.translated(consumer.start());
    return consumer;
  }

  async follow(options: FollowOptions): Promise<Follower> {
    const translate = (fault: unknown) => this.failed(fault);
    const follower = await this.translated(KafkaFollower.start(this.kafka, this.admin, options, translate));
    this.followers.add(follower);
    return follower;
  }

  async campaign(options: CampaignOptions): Promise<Campaign> {
    const campaign = new KafkaCampaign(this.kafka, this.admin, this, options, (fault) => this.failed(fault));
    this.campaigns.add(campaign);
    await this.translated(campaign.start());
    return campaign;
  }

  health(): BusHealth {
    return this.lastFailure === undefined ? { ok: true } : { ok: false, reason: this.lastFailure };
  }

  async close(deadlineMs = 10_000): Promise<void> {
    clearTimeout(this.ping);
    const work = async () => {
      await Promise.allSettled([...this.campaigns].map((campaign) => campaign.resign()));
      await Promise.allSettled([...this.subscriptions].map((subscription) => subscription.stop(deadlineMs)));
      await Promise.allSettled([...this.followers].map((follower) => follower.stop()));
    };
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<void>((resolve) => (timer = setTimeout(resolve, deadlineMs)));
    await Promise.race([work(), limit]);
    clearTimeout(timer);
    await Promise.allSettled([this.publisher.disconnect(), this.admin.disconnect()]);
    this.closed = true;
    clearTimeout(this.ping);
  }

  private async translated<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (cause) {
      throw this.failed(cause);
    }
  }

  /** An error in our words. When it speaks of the brokers, the bus is unhealthy until they answer again. */
  private failed(cause: unknown): unknown {
    const fault = translateKafka(cause, this.options.brokers);
    if (ThalamusError.is(fault) && fault.code === 'KAFKA_UNREACHABLE') {
      this.lastFailure = fault.message;
      this.pingLater();
    }
    return fault;
  }

  private pingLater(): void {
    clearTimeout(this.ping);
    if (this.closed) return;
    this.ping = setTimeout(() => {
      this.probe().then(
        () => {
          this.lastFailure = undefined;
        },
        (fault: unknown) => {
          this.failed(fault);
        },
      );
    }, PING_MS).unref();
  }

  /** Asks for the brokers over a connection of its own, once. */
  private async probe(): Promise<void> {
    const { Kafka, logLevel } = loadKafkajs();
    const admin = new Kafka({
      clientId: this.options.clientId,
      brokers: [...this.options.brokers],
      connectionTimeout: 1_000,
      requestTimeout: 3_000,
      retry: { retries: 0 },
      logLevel: logLevel.NOTHING,
    }).admin();
    try {
      await admin.connect();
      await admin.describeCluster();
    } finally {
      await admin.disconnect().catch(() => undefined);
    }
  }

  private unreachable(cause: unknown): ThalamusError {
    return new ThalamusError(
      'KAFKA_UNREACHABLE',
      `No Kafka broker answers at ${this.options.brokers.join(', ')}; start one, or set THALAMUS_KAFKA_BROKERS to where it is.`,
      { cause },
    );
  }
}
