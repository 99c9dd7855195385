import { ThalamusError, toThalamusError } from '@thalamus/errors';
import type { Follower, FollowOptions } from '../event-bus.port.js';
import type { LogClient } from './log-client.js';

const FETCH_LIMIT = 500;

/** Reads a topic of the embedded log from its first record on, then what is added. */
export class EmbeddedFollower implements Follower {
  readonly caughtUp: Promise<void>;
  private next: bigint[] = [];
  private reading: Promise<void> | undefined;
  private again = false;
  private stopped = false;

  constructor(
    private readonly log: LogClient,
    private readonly options: FollowOptions,
  ) {
    log.on('changed', this.wake);
    this.caughtUp = this.catchUp().then(() => options.onCaughtUp?.());
    this.caughtUp.catch(() => undefined);
  }

  position(): bigint {
    return this.next.reduce((sum, offset) => sum + offset, 0n) - 1n;
  }

  async catchUp(): Promise<void> {
    const ends = await this.log.call('ends', this.options.topic);
    if (ends.length === 0)
      throw new ThalamusError(
        'EVENT_INVALID',
        `The topic ${this.options.topic} does not exist; apply the topics first.`,
      );
    while (!this.stopped && ends.some((end, partition) => (this.next[partition] ?? 0n) < end))
      await this.read();
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.log.off('changed', this.wake);
    await this.reading;
  }

  private readonly wake = (): void => {
    void this.read();
  };

  private read(): Promise<void> {
    if (this.reading) this.again = true;
    this.reading ??= this.readAll().finally(() => {
      this.reading = undefined;
    });
    return this.reading;
  }

  private async readAll(): Promise<void> {
    do {
      this.again = false;
      try {
        const ends = await this.log.call('ends', this.options.topic);
        for (let partition = 0; partition < ends.length; partition++)
          await this.readPartition(partition, ends[partition] as bigint);
      } catch (fault) {
        if (!this.stopped) this.options.onError?.(toThalamusError(fault));
        return;
      }
    } while (this.again && !this.isStopped());
  }

  private async readPartition(partition: number, end: bigint): Promise<void> {
    while (!this.stopped && (this.next[partition] ?? 0n) < end) {
      const records = await this.log.call(
        'fetch',
        this.options.topic,
        partition,
        this.next[partition] ?? 0n,
        FETCH_LIMIT,
      );
      for (const record of records) {
        if (this.isStopped()) return;
        this.options.onRecord({ ...record, attempt: 1 });
        this.next[partition] = record.offset + 1n;
      }
      // Compaction may have removed the records up to the end.
      if (records.length < FETCH_LIMIT)
        this.next[partition] = records.length === 0 ? end : maximum(end, this.next[partition] ?? 0n);
    }
  }

  private isStopped(): boolean {
    return this.stopped;
  }
}

function maximum(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
