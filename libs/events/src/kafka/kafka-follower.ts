import { toThalamusError } from '@thalamus/errors';
import { randomUUID } from 'node:crypto';
import type { Admin, Consumer, Kafka } from 'kafkajs';
import type { Follower, FollowOptions } from '../event-bus.port.js';
import { fromMessage } from './kafka-records.js';

/**
 * Reads a whole topic from its first record on, alone in a group of its own that never commits. Transaction marks take
 * offsets too, so that "caught up" is judged by the position up to which the broker has been asked.
 */
export class KafkaFollower implements Follower {
  readonly caughtUp: Promise<void>;
  private readonly consumer: Consumer;
  private readonly group = `thalamus-follow-${randomUUID()}`;
  private readonly next = new Map<number, bigint>();
  private readonly waiting = new Set<() => void>();
  private markCaughtUp: () => void = () => undefined;
  private stopped = false;

  constructor(
    kafka: Kafka,
    private readonly admin: Admin,
    private readonly options: FollowOptions,
  ) {
    this.consumer = kafka.consumer({
      groupId: this.group,
      readUncommitted: false,
      maxWaitTimeInMs: 100,
      sessionTimeout: 10_000,
      heartbeatInterval: 1_000,
      retry: { retries: 20, initialRetryTime: 200, maxRetryTime: 2_000 },
    });
    this.caughtUp = new Promise((resolve) => {
      this.markCaughtUp = resolve;
    });
  }

  async start(): Promise<void> {
    const { topic } = this.options;
    this.consumer.on(this.consumer.events.CRASH, ({ payload }) =>
      this.options.onError?.(toThalamusError(payload.error)),
    );
    await this.consumer.connect();
    await this.consumer.subscribe({ topic, fromBeginning: true });
    await this.consumer.run({
      autoCommit: false,
      eachBatch: async ({ batch, heartbeat }) => {
        for (const message of batch.messages) {
          if (this.stopped) return;
          const record = fromMessage(batch.topic, batch.partition, message);
          if (record.offset < (this.next.get(batch.partition) ?? 0n)) continue;
          this.options.onRecord({ ...record, attempt: 1 });
          this.next.set(batch.partition, record.offset + 1n);
        }
        this.advance(batch.partition, BigInt(batch.lastOffset()) + 1n);
        await heartbeat();
      },
    });
    void this.catchUp()
      .then(() => {
        this.markCaughtUp();
        this.options.onCaughtUp?.();
      })
      .catch((fault: unknown) => this.options.onError?.(toThalamusError(fault)));
  }

  position(): bigint {
    return [...this.next.values()].reduce((sum, offset) => sum + offset, 0n) - 1n;
  }

  async catchUp(): Promise<void> {
    const ends = await this.admin.fetchTopicOffsets(this.options.topic);
    for (const { partition, high, low } of ends) {
      if (BigInt(high) === BigInt(low)) continue;
      const target = await this.lastReadable(partition, BigInt(low), BigInt(high));
      while (!this.stopped && (this.next.get(partition) ?? 0n) < target) {
        await new Promise<void>((resolve) => this.waiting.add(resolve));
      }
    }
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.wake();
    await this.consumer.stop();
    await this.consumer.disconnect();
    await this.admin.deleteGroups([this.group]).catch(() => undefined);
  }

  /** The last offset may be a transaction mark, which no reader is given: one less is then all there is. */
  private lastReadable(_partition: number, low: bigint, high: bigint): Promise<bigint> {
    return Promise.resolve(high - 1n > low ? high - 1n : low);
  }

  private advance(partition: number, offset: bigint): void {
    if (offset > (this.next.get(partition) ?? 0n)) this.next.set(partition, offset);
    this.wake();
  }

  private wake(): void {
    for (const resolve of this.waiting) resolve();
    this.waiting.clear();
  }
}
