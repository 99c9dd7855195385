import { ThalamusError, toThalamusError } from '@thalamus/errors';
import { randomUUID } from 'node:crypto';
import type { Admin, Batch, Consumer, Kafka } from 'kafkajs';
import { applyRecord } from '../apply-record.js';
import type { Follower, FollowOptions } from '../event-bus.port.js';
import { fromMessage } from './kafka-records.js';
import { topicEnds } from './kafka-topics.js';
import { LastingConsumer } from './lasting-consumer.js';

/**
 * Reads a whole topic from its first record on, alone in a group of its own that never commits. Marks of transactions and
 * records of aborted ones take offsets too but are given to nobody: the position counts them, as kafkajs reports them.
 */
export class KafkaFollower implements Follower {
  readonly caughtUp: Promise<void>;
  private readonly lasting: LastingConsumer;
  private readonly group = `thalamus-follow-${randomUUID()}`;
  private readonly next: Map<number, bigint>;
  private readonly translate: (fault: unknown) => unknown;
  private readonly waiting = new Set<() => void>();
  /** A record that could not be applied: nothing after it is read. */
  private halted: ThalamusError | undefined;
  private stopped = false;

  private constructor(
    private readonly kafka: Kafka,
    private readonly admin: Admin,
    private readonly options: FollowOptions,
    parts: {
      readonly translate: (fault: unknown) => unknown;
      /** Offsets to begin with, by partition. */
      readonly next: Map<number, bigint>;
    },
  ) {
    this.next = parts.next;
    this.translate = parts.translate;
    this.lasting = new LastingConsumer(kafka, {
      config: {
        groupId: this.group,
        readUncommitted: false,
        maxWaitTimeInMs: 100,
        sessionTimeout: 10_000,
        heartbeatInterval: 1_000,
        allowAutoTopicCreation: false,
        retry: { retries: 20, initialRetryTime: 200, maxRetryTime: 2_000 },
      },
      topics: [options.topic],
      fromBeginning: true,
      run: {
        autoCommit: false,
        eachBatch: async (payload) => {
          this.read(payload.batch);
          await payload.heartbeat();
        },
      },
      onMade: (consumer) => {
        this.watch(consumer);
      },
      onCrash: (fault) => this.options.onError?.(toThalamusError(this.translate(fault))),
    });
    this.caughtUp = this.catchUp().then(() => options.onCaughtUp?.());
    this.caughtUp.catch((fault: unknown) => {
      if (fault !== this.halted) options.onError?.(toThalamusError(fault));
    });
  }

  static async start(
    kafka: Kafka,
    admin: Admin,
    options: FollowOptions,
    translate: (fault: unknown) => unknown,
  ): Promise<KafkaFollower> {
    if (!(await admin.listTopics()).includes(options.topic))
      throw new ThalamusError(
        'EVENT_INVALID',
        `The topic ${options.topic} does not exist; apply the topics first.`,
      );
    const { topic, sinceMs } = options;
    const begin = sinceMs === undefined ? [] : await admin.fetchTopicOffsetsByTimestamp(topic, sinceMs);
    const next = new Map(begin.map(({ partition, offset }) => [partition, BigInt(offset)]));
    const follower = new KafkaFollower(kafka, admin, options, { translate, next });
    await follower.lasting.start();
    return follower;
  }

  async catchUp(): Promise<void> {
    let ends;
    try {
      ends = await topicEnds(this.kafka, this.admin, this.options.topic);
    } catch (fault) {
      throw this.translate(fault);
    }
    for (const { partition, high, low } of ends) {
      if (BigInt(high) === BigInt(low)) continue;
      while (!this.stopped && (this.next.get(partition) ?? 0n) < BigInt(high)) {
        if (this.halted) throw this.halted;
        await new Promise<void>((resolve) => this.waiting.add(resolve));
      }
    }
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.wake();
    await this.lasting.stop();
    await this.admin.deleteGroups([this.group]).catch(() => undefined);
  }

  private read(batch: Batch): void {
    for (const message of batch.messages) {
      if (this.stopped || this.halted) return;
      const record = fromMessage(batch.topic, batch.partition, message);
      // After a reconnection the topic is read from its beginning again.
      if (record.offset < (this.next.get(batch.partition) ?? 0n)) continue;
      try {
        applyRecord(this.options, record);
      } catch (fault) {
        this.halted = toThalamusError(fault);
        this.options.onError?.(this.halted);
        this.wake();
        return;
      }
      this.next.set(batch.partition, record.offset + 1n);
    }
  }

  /** A batch has ended, be it one of marks and aborted records alone, which are given to nobody. */
  private watch(consumer: Consumer): void {
    consumer.on(consumer.events.GROUP_JOIN, () => {
      // It begins where a group without a position does; what comes before it is passed over.
      if (this.options.sinceMs === undefined) return;
      for (const [partition, next] of this.next)
        consumer.seek({ topic: this.options.topic, partition, offset: String(next) });
    });
    consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload: { partition, lastOffset } }) => {
      const next = BigInt(lastOffset) + 1n;
      if (this.halted || this.stopped) return;
      if (next > (this.next.get(partition) ?? 0n)) this.next.set(partition, next);
      this.wake();
    });
  }

  private wake(): void {
    for (const resolve of this.waiting) resolve();
    this.waiting.clear();
  }
}
