import { ThalamusError, toThalamusError } from '@thalamus/errors';
import type { Admin, Consumer, Kafka, Producer } from 'kafkajs';
import type {
  BusRecord,
  Campaign,
  CampaignOptions,
  EventBus,
  FencedWriter,
  Follower,
  RecordPosition,
} from '../event-bus.port.js';
import { toPositions, toTopicMessages } from './kafka-records.js';

/** Says who leads which role: key = role, value = candidate name. Written and read by this adapter alone. */
const LEADERS_TOPIC = 'thalamus.leader.elected.v1';
/** How long a broker may take to write the marks of a transaction that it has accepted, milliseconds. */
const MARKS_MS = 5_000;

/**
 * A candidate on Kafka: the holder of the one partition of a group named for the role leads. It writes through a
 * transactional producer whose id is the role, so that the broker fences a leader that came back from the dead.
 */
export class KafkaCampaign implements Campaign {
  private readonly consumer: Consumer;
  private producer: Producer | undefined;
  private follower: Follower | undefined;
  private known: string | undefined;
  private term = 0n;
  private changing: Promise<void> = Promise.resolve();

  constructor(
    private readonly kafka: Kafka,
    private readonly admin: Admin,
    private readonly bus: EventBus,
    private readonly options: CampaignOptions,
  ) {
    this.consumer = kafka.consumer({
      groupId: `thalamus-leader-${options.role}`,
      sessionTimeout: 6_000,
      heartbeatInterval: 500,
      maxWaitTimeInMs: 500,
      retry: { retries: 50, maxRetryTime: 2_000 },
    });
  }

  async start(): Promise<void> {
    await this.bus.ensureTopics([{ name: LEADERS_TOPIC, partitions: 1, compacted: true }]);
    this.follower = await this.bus.follow({
      topic: LEADERS_TOPIC,
      onRecord: (record) => {
        if (record.key === this.options.role)
          this.known = record.value === null ? undefined : new TextDecoder().decode(record.value);
      },
    });
    await this.consumer.connect();
    this.consumer.on(this.consumer.events.GROUP_JOIN, ({ payload }) => {
      const holds = (payload.memberAssignment[LEADERS_TOPIC] ?? []).includes(0);
      this.change(holds);
    });
    this.consumer.on(this.consumer.events.REBALANCING, () => {
      this.change(false);
    });
    this.consumer.on(this.consumer.events.CRASH, () => {
      this.change(false);
    });
    await this.consumer.subscribe({ topic: LEADERS_TOPIC, fromBeginning: false });
    await this.consumer.run({ autoCommit: false, eachMessage: () => Promise.resolve() });
  }

  leader(): string | undefined {
    return this.known;
  }

  async resign(): Promise<void> {
    this.change(false);
    await this.changing;
    await this.consumer.stop();
    await this.consumer.disconnect();
    await this.follower?.stop();
  }

  private change(holds: boolean): void {
    this.changing = this.changing
      .then(() => (holds ? this.rise() : this.fall('the group was rebalanced')))
      .catch(() => undefined);
  }

  private async rise(): Promise<void> {
    if (this.producer) return;
    const producer = this.kafka.producer({
      transactionalId: `thalamus-${this.options.role}`,
      idempotent: true,
      maxInFlightRequests: 1,
      transactionTimeout: 10_000,
    });
    await producer.connect();
    this.producer = producer;
    this.term += 1n;
    const writer = this.writer(producer);
    // The first transaction fences whoever led before.
    await writer.append([
      {
        topic: LEADERS_TOPIC,
        key: this.options.role,
        value: new TextEncoder().encode(this.options.candidate),
        headers: {},
      },
    ]);
    this.known = this.options.candidate;
    await this.options.onElected(writer, this.term);
  }

  private async fall(reason: string): Promise<void> {
    const producer = this.producer;
    if (!producer) return;
    this.producer = undefined;
    this.options.onRevoked(reason);
    await producer.disconnect();
  }

  private writer(producer: Producer): FencedWriter {
    let tail: Promise<unknown> = Promise.resolve();
    const append = async (records: readonly BusRecord[]): Promise<readonly RecordPosition[]> => {
      if (this.producer !== producer) throw this.lost();
      const transaction = await producer.transaction();
      try {
        const answers = await transaction.sendBatch({ topicMessages: toTopicMessages(records), acks: -1 });
        const written = await this.ends(records);
        await transaction.commit();
        await this.untilReadable(written);
        return toPositions(answers);
      } catch (cause) {
        await transaction.abort().catch(() => undefined);
        const type = (cause as { type?: string }).type ?? '';
        if (/FENCED|INVALID_PRODUCER_EPOCH/.test(type) || this.producer !== producer) throw this.lost();
        throw toThalamusError(cause);
      }
    };
    return {
      append: (records) => {
        const result = tail.then(() => append(records));
        tail = result.catch(() => undefined);
        return result;
      },
    };
  }

  /** Ends of the topics of records, by topic and partition. */
  private async ends(records: readonly BusRecord[]): Promise<Map<string, bigint>> {
    const topics = [...new Set(records.map(({ topic }) => topic))];
    const offsets = await Promise.all(topics.map((topic) => this.admin.fetchTopicOffsets(topic)));
    return new Map(
      topics.flatMap((topic, index) =>
        (offsets[index] ?? []).map(({ partition, high }) => [`${topic}/${partition}`, BigInt(high)] as const),
      ),
    );
  }

  /**
   * A broker accepts the end of a transaction before it has written the marks that make the records readable: waits for the
   * marks, so that who reads after a write finds it. A partition of the topic that got no record stands still: one that moved
   * is enough for each topic.
   */
  private async untilReadable(written: ReadonlyMap<string, bigint>): Promise<void> {
    const until = performance.now() + MARKS_MS;
    const waiting = new Set([...written.keys()].map(topicOf));
    while (waiting.size > 0 && performance.now() < until) {
      const records = [...waiting].map((topic) => ({ topic, key: '', value: null, headers: {} }));
      for (const [place, high] of await this.ends(records))
        if (high > (written.get(place) ?? 0n)) waiting.delete(topicOf(place));
    }
  }

  private lost(): ThalamusError {
    return new ThalamusError(
      'LEADERSHIP_LOST',
      `This process no longer leads ${this.options.role}; send the write to the new leader.`,
      { metadata: { leader: this.known ?? '' } },
    );
  }
}

function topicOf(place: string): string {
  return place.slice(0, place.lastIndexOf('/'));
}
