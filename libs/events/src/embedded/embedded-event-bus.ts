import { DEAD_LETTER_RETENTION_MS, deadLetterTopic } from '@thalamus/contracts';
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
import { traceSends } from '../trace-sends.js';
import { checkRecordSizes } from '../record-size.js';
import { RecordProcessor } from '../record-processor.js';
import { EmbeddedCampaign } from './embedded-campaign.js';
import { EmbeddedConsumer } from './embedded-consumer.js';
import { EmbeddedFollower } from './embedded-follower.js';
import { LogClient } from './log-client.js';

/** How the embedded bus is made. */
export interface EmbeddedBusOptions {
  /** The log file; processes of one machine share it. */
  readonly file: string;
  /** How often the file is looked at for records of other processes. Default 25 ms. */
  readonly pollMs?: number;
  /** Bounds the file, in pages of 4 KiB. For tests of a full disk. */
  readonly maxPages?: number;
}

/** The event bus of one machine: an append-only log in SQLite, durable, shared by processes, with nothing to install. */
export class EmbeddedEventBus implements EventBus {
  private readonly log: LogClient;
  private readonly subscriptions = new Set<EmbeddedConsumer>();
  private readonly followers = new Set<EmbeddedFollower>();
  private readonly campaigns = new Set<EmbeddedCampaign>();

  constructor(options: EmbeddedBusOptions) {
    this.log = new LogClient({
      file: options.file,
      pollMs: options.pollMs ?? 25,
      ...(options.maxPages === undefined ? {} : { maxPages: options.maxPages }),
    });
  }

  async start(): Promise<void> {
    await this.log.open();
  }

  async ensureTopics(specs: readonly TopicSpec[]): Promise<void> {
    await this.log.call('ensureTopics', specs);
  }

  async publish(records: readonly BusRecord[]): Promise<readonly RecordPosition[]> {
    checkRecordSizes(records);
    return traceSends('thalamus', records, (traced) => this.log.call('append', traced));
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
    const consumer = new EmbeddedConsumer(
      this.log,
      options,
      new RecordProcessor(options, publishDeadLetter, 'thalamus'),
    );
    await consumer.start();
    this.subscriptions.add(consumer);
    return consumer;
  }

  async follow(options: FollowOptions): Promise<Follower> {
    const follower = new EmbeddedFollower(this.log, options);
    this.followers.add(follower);
    return Promise.resolve(follower);
  }

  async campaign(options: CampaignOptions): Promise<Campaign> {
    const campaign = new EmbeddedCampaign(this.log, options);
    this.campaigns.add(campaign);
    await campaign.start();
    return campaign;
  }

  health(): BusHealth {
    const broken = this.log.broken;
    return broken ? { ok: false, reason: broken.message } : { ok: true };
  }

  async close(deadlineMs = 10_000): Promise<void> {
    await Promise.all([...this.campaigns].map((campaign) => campaign.resign()));
    await Promise.all([...this.subscriptions].map((subscription) => subscription.stop(deadlineMs)));
    await Promise.all([...this.followers].map((follower) => follower.stop()));
    await this.log.close();
  }
}
