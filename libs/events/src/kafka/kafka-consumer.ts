import type { Admin, Consumer, EachBatchPayload, Kafka } from 'kafkajs';
import type { SubscribeOptions, Subscription } from '../event-bus.port.js';
import type { RecordProcessor } from '../record-processor.js';
import { fromMessage } from './kafka-records.js';

const SESSION_MS = 10_000;

/** A member of a Kafka consumer group: partitions side by side, records of one partition in order, commit after ack. */
export class KafkaConsumer implements Subscription {
  private readonly consumer: Consumer;
  private readonly stopping = new AbortController();
  private stopped: Promise<void> | undefined;

  constructor(
    kafka: Kafka,
    private readonly admin: Admin,
    private readonly options: SubscribeOptions,
    private readonly processor: RecordProcessor,
  ) {
    this.consumer = kafka.consumer({
      groupId: options.group,
      sessionTimeout: SESSION_MS,
      heartbeatInterval: 1_000,
      maxWaitTimeInMs: 100,
      allowAutoTopicCreation: false,
      retry: { retries: 20, initialRetryTime: 200, maxRetryTime: 2_000 },
    });
  }

  async start(): Promise<void> {
    await this.consumer.connect();
    await this.consumer.subscribe({
      topics: [...this.options.topics],
      fromBeginning: this.options.from !== 'latest',
    });
    await this.consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      partitionsConsumedConcurrently: this.options.maxInFlight ?? 16,
      eachBatch: (payload) => this.handle(payload),
    });
  }

  stop(deadlineMs = 10_000): Promise<void> {
    this.stopped ??= this.stopOnce(deadlineMs);
    return this.stopped;
  }

  pause(): void {
    this.consumer.pause(this.options.topics.map((topic) => ({ topic })));
  }

  resume(): void {
    this.consumer.resume(this.options.topics.map((topic) => ({ topic })));
  }

  async lag(): Promise<bigint> {
    let total = 0n;
    const positions = await this.admin.fetchOffsets({
      groupId: this.options.group,
      topics: [...this.options.topics],
    });
    for (const { topic, partitions } of positions) {
      for (const end of await this.admin.fetchTopicOffsets(topic)) {
        const done = BigInt(partitions.find(({ partition }) => partition === end.partition)?.offset ?? '-1');
        total += BigInt(end.high) - (done < 0n ? BigInt(end.low) : done);
      }
    }
    return total;
  }

  private async handle({
    batch,
    heartbeat,
    isRunning,
    isStale,
    resolveOffset,
  }: EachBatchPayload): Promise<void> {
    for (const message of batch.messages) {
      if (!isRunning() || isStale() || this.stopping.signal.aborted) return;
      const record = fromMessage(batch.topic, batch.partition, message);
      const beating = setInterval(() => void heartbeat().catch(() => undefined), 2_000);
      try {
        const disposition = await this.processor.process(record, this.stopping.signal, heartbeat);
        if (disposition === 'stopped') return;
      } finally {
        clearInterval(beating);
      }
      resolveOffset(message.offset);
      await this.consumer.commitOffsets([
        { topic: batch.topic, partition: batch.partition, offset: (record.offset + 1n).toString() },
      ]);
      await heartbeat();
    }
  }

  private async stopOnce(deadlineMs: number): Promise<void> {
    this.stopping.abort();
    const gone = this.consumer.stop().then(() => this.consumer.disconnect());
    await Promise.race([gone, new Promise((resolve) => setTimeout(resolve, deadlineMs).unref())]);
  }
}
