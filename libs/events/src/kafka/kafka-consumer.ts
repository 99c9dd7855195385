import type { Admin, Consumer, EachBatchPayload, Kafka } from 'kafkajs';
import type { SubscribeOptions, Subscription } from '../event-bus.port.js';
import type { RecordProcessor } from '../record-processor.js';
import { fromMessage } from './kafka-records.js';
import { LastingConsumer } from './lasting-consumer.js';

const SESSION_MS = 10_000;
const BEAT_MS = 2_000;
/** How long a group that begins at the end may take to find the end, milliseconds. */
const FIRST_FETCH_MS = 30_000;

/** A member of a Kafka consumer group: partitions side by side, records of one partition in order, commit after ack. */
export class KafkaConsumer implements Subscription {
  private readonly lasting: LastingConsumer;
  private readonly stopping = new AbortController();
  private stopped: Promise<void> | undefined;
  private paused = false;
  private markReading: () => void = () => undefined;
  private readonly reading = new Promise<void>((resolve) => {
    this.markReading = resolve;
  });

  constructor(
    kafka: Kafka,
    private readonly admin: Admin,
    private readonly options: SubscribeOptions,
    private readonly processor: RecordProcessor,
    onCrash: (fault: unknown) => void,
  ) {
    this.lasting = new LastingConsumer(kafka, {
      config: {
        groupId: options.group,
        sessionTimeout: SESSION_MS,
        heartbeatInterval: 1_000,
        maxWaitTimeInMs: 100,
        allowAutoTopicCreation: false,
        retry: { retries: 20, initialRetryTime: 200, maxRetryTime: 2_000 },
      },
      topics: options.topics,
      fromBeginning: options.from !== 'latest',
      run: {
        autoCommit: false,
        eachBatchAutoResolve: false,
        partitionsConsumedConcurrently: options.maxInFlight ?? 16,
        eachBatch: (payload) => this.handle(payload),
      },
      onMade: (consumer) => {
        this.watch(consumer);
      },
      onCrash,
    });
  }

  async start(): Promise<void> {
    await this.lasting.start();
    if (this.options.from === 'latest') await bounded(this.reading, FIRST_FETCH_MS);
  }

  stop(deadlineMs = 10_000): Promise<void> {
    this.stopping.abort();
    this.stopped ??= bounded(
      this.lasting.stop().catch(() => undefined),
      deadlineMs,
    );
    return this.stopped;
  }

  pause(): void {
    this.paused = true;
    this.lasting.current?.pause(this.options.topics.map((topic) => ({ topic })));
  }

  resume(): void {
    this.paused = false;
    this.lasting.current?.resume(this.options.topics.map((topic) => ({ topic })));
  }

  async lag(): Promise<bigint> {
    let total = 0n;
    const topics = [...this.options.topics];
    for (const { topic, partitions } of await this.admin.fetchOffsets({
      groupId: this.options.group,
      topics,
    })) {
      for (const end of await this.admin.fetchTopicOffsets(topic)) {
        const done = BigInt(partitions.find(({ partition }) => partition === end.partition)?.offset ?? '-1');
        if (done >= 0n) total += BigInt(end.high) - done;
        else if (this.options.from !== 'latest') total += BigInt(end.high) - BigInt(end.low);
      }
    }
    return total;
  }

  /** Resolves `reading` once the first fetch has told where the end is, or there is nothing to fetch. */
  private watch(consumer: Consumer): void {
    consumer.on(consumer.events.FETCH, this.markReading);
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
      if (Object.values(payload.memberAssignment).every((partitions) => partitions.length === 0))
        this.markReading();
      if (this.paused) this.pause();
    });
  }

  private async handle(payload: EachBatchPayload): Promise<void> {
    const { batch } = payload;
    const isOver = () =>
      this.paused || this.stopping.signal.aborted || !payload.isRunning() || payload.isStale();
    for (const message of batch.messages) {
      if (isOver()) return;
      const record = fromMessage(batch.topic, batch.partition, message);
      const beating = setInterval(() => void payload.heartbeat().catch(() => undefined), BEAT_MS);
      try {
        const disposition = await this.processor.process(record, this.stopping.signal, () =>
          payload.heartbeat(),
        );
        if (disposition === 'stopped') return;
      } finally {
        clearInterval(beating);
      }
      payload.resolveOffset(message.offset);
      await payload.commitOffsetsIfNecessary({
        topics: [
          {
            topic: batch.topic,
            partitions: [{ partition: batch.partition, offset: (record.offset + 1n).toString() }],
          },
        ],
      });
      await payload.heartbeat();
    }
  }
}

async function bounded(work: Promise<void>, limitMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<void>((resolve) => (timer = setTimeout(resolve, limitMs)));
  await Promise.race([work, limit]);
  clearTimeout(timer);
}
