import { ThalamusError, toThalamusError } from '@thalamus/errors';
import type { Admin, Kafka, Producer, Transaction } from 'kafkajs';
import type { BusRecord, FencedWriter, RecordPosition } from '../event-bus.port.js';
import { checkRecordSizes, splitBySize } from '../record-size.js';
import { isFenced } from './kafka-errors.js';
import { createNotingPartitioner, OutgoingRecords } from './kafka-records.js';

/** How long a broker may take to write the marks of a transaction that it has accepted, milliseconds. */
const MARKS_MS = 5_000;
const TRANSACTION_MS = 10_000;

/** What a writer needs from the campaign that it belongs to. */
export interface WriterContext {
  /** Name of the present leader; empty when unknown. */
  readonly leader: () => string;
  readonly translate: (fault: unknown) => unknown;
  /** Told when the broker says that another has the role. */
  readonly onFenced: () => void;
  /** Told when a transaction may or may not have been committed: who leads must read what stands before it writes again. */
  readonly onUncertain: () => void;
}

/** Appends in transactions under the id of a role, one after the other; the broker fences it once another opens the same id. */
export class TransactionalWriter implements FencedWriter {
  private readonly producer: Producer;
  private tail: Promise<unknown> = Promise.resolve();
  private ended = false;

  constructor(
    kafka: Kafka,
    private readonly admin: Admin,
    private readonly role: string,
    private readonly context: WriterContext,
  ) {
    this.producer = kafka.producer({
      transactionalId: `thalamus-${role}`,
      idempotent: true,
      maxInFlightRequests: 1,
      allowAutoTopicCreation: false,
      transactionTimeout: TRANSACTION_MS,
      createPartitioner: createNotingPartitioner,
      retry: { retries: 8, initialRetryTime: 100, maxRetryTime: 1_000 },
    });
  }

  /** Connects, and takes the transactional id over from whoever had it. */
  open(): Promise<void> {
    return this.producer.connect();
  }

  /** Refuses every later append. */
  end(): void {
    this.ended = true;
  }

  async close(): Promise<void> {
    this.end();
    await this.producer.disconnect().catch(() => undefined);
  }

  append(records: readonly BusRecord[]): Promise<readonly RecordPosition[]> {
    const result = this.tail.then(() => this.appendNow(records));
    this.tail = result.catch(() => undefined);
    return result;
  }

  private async appendNow(records: readonly BusRecord[]): Promise<readonly RecordPosition[]> {
    this.checkOpen();
    checkRecordSizes(records);
    if (records.length === 0) return [];
    let transaction: Transaction | undefined;
    let committing = false;
    try {
      transaction = await this.producer.transaction();
      const positions: RecordPosition[] = [];
      for (const part of splitBySize(records)) {
        const outgoing = new OutgoingRecords(part);
        const answers = await transaction.sendBatch({ topicMessages: outgoing.topicMessages, acks: -1 });
        positions.push(...outgoing.positions(answers));
      }
      this.checkOpen();
      committing = true;
      await transaction.commit();
      await this.untilReadable(positions);
      return positions;
    } catch (fault) {
      throw await this.failed(fault, transaction, committing);
    }
  }

  /** What an append that failed throws; without doubt about what stands, the transaction is taken back. */
  private async failed(
    fault: unknown,
    transaction: Transaction | undefined,
    committing: boolean,
  ): Promise<ThalamusError> {
    const aborted =
      !committing &&
      (await transaction?.abort().then(
        () => true,
        () => false,
      ));
    if (this.ended) return this.lost();
    if (isFenced(fault)) {
      this.end();
      this.context.onFenced();
      return this.lost();
    }
    if (aborted !== true) {
      this.end();
      this.context.onUncertain();
    }
    return toThalamusError(this.context.translate(fault));
  }

  /**
   * A broker accepts the end of a transaction before it has written the marks that make the records readable: waits for the
   * mark behind the last record of each partition, so that who reads after a write finds it. The write stands in any case.
   */
  private async untilReadable(positions: readonly RecordPosition[]): Promise<void> {
    const last = new Map<string, RecordPosition>();
    for (const position of positions) last.set(`${position.topic}/${position.partition}`, position);
    const until = performance.now() + MARKS_MS;
    while (last.size > 0 && performance.now() < until) {
      const topics = new Set([...last.values()].map(({ topic }) => topic));
      for (const topic of topics) {
        const ends = await this.admin.fetchTopicOffsets(topic).catch(() => []);
        for (const { partition, high } of ends) {
          const place = `${topic}/${partition}`;
          const position = last.get(place);
          if (position && BigInt(high) > position.offset + 1n) last.delete(place);
        }
      }
    }
  }

  private checkOpen(): void {
    if (this.ended) throw this.lost();
  }

  private lost(): ThalamusError {
    const leader = this.context.leader();
    return new ThalamusError(
      'LEADERSHIP_LOST',
      `This process no longer leads ${this.role}; send the write to ${leader === '' ? 'the new leader' : leader}.`,
      { metadata: { leader } },
    );
  }
}
