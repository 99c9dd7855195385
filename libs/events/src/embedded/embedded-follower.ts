import { ThalamusError, toThalamusError } from '@thalamus/errors';
import type { Follower, FollowOptions } from '../event-bus.port.js';
import { applyRecord } from '../apply-record.js';
import type { LogClient } from './log-client.js';

const FETCH_LIMIT = 500;
const FETCH_BYTES = 1_048_576;
const RETRY_MS = 500;

/** Reads a topic of the embedded log from its first record on, then what is added. */
export class EmbeddedFollower implements Follower {
  readonly caughtUp: Promise<void>;
  private readonly next: bigint[] = [];
  private reading: Promise<void> | undefined;
  private again = false;
  private stopped = false;
  /** A record that could not be applied: nothing after it is read. */
  private halted: ThalamusError | undefined;
  private retry: NodeJS.Timeout | undefined;

  constructor(
    private readonly log: LogClient,
    private readonly options: FollowOptions,
  ) {
    log.on('changed', this.wake);
    this.caughtUp = this.catchUp().then(() => options.onCaughtUp?.());
    this.caughtUp.catch(() => undefined);
  }

  async catchUp(): Promise<void> {
    const ends = await this.ends();
    while (!this.isStopped() && ends.some((end, partition) => (this.next[partition] ?? 0n) < end))
      await this.read();
  }

  async stop(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.retry);
    this.log.off('changed', this.wake);
    await this.reading?.catch(() => undefined);
  }

  private readonly wake = (): void => {
    if (this.stopped || this.halted) return;
    this.read().catch((fault: unknown) => {
      if (this.isStopped() || fault === this.haltedBy()) return;
      this.options.onError?.(toThalamusError(fault));
      clearTimeout(this.retry);
      this.retry = setTimeout(this.wake, RETRY_MS).unref();
    });
  };

  private read(): Promise<void> {
    if (this.reading) this.again = true;
    this.reading ??= this.readAll().finally(() => {
      this.reading = undefined;
    });
    return this.reading;
  }

  private async readAll(): Promise<void> {
    await this.begin();
    do {
      this.again = false;
      this.checkHalted();
      for (const [partition, end] of (await this.ends()).entries()) await this.readPartition(partition, end);
    } while (this.mustReadAgain());
  }

  /** Passes over what is older than what is asked for. */
  private async begin(): Promise<void> {
    const { topic, sinceMs } = this.options;
    if (sinceMs === undefined || this.next.length > 0) return;
    this.next.push(...(await this.log.call('offsetsSince', topic, sinceMs)));
  }

  private async ends(): Promise<bigint[]> {
    const ends = await this.log.call('ends', this.options.topic);
    if (ends.length === 0)
      throw new ThalamusError(
        'EVENT_INVALID',
        `The topic ${this.options.topic} does not exist; apply the topics first.`,
      );
    return ends;
  }

  private async readPartition(partition: number, end: bigint): Promise<void> {
    const { topic } = this.options;
    for (;;) {
      const from = this.next[partition] ?? 0n;
      if (this.isStopped() || from >= end) return;
      const records = await this.log.call('fetch', topic, partition, from, FETCH_LIMIT, FETCH_BYTES);
      for (const record of records) {
        if (this.isStopped()) return;
        try {
          applyRecord(this.options, record);
        } catch (fault) {
          this.halted = toThalamusError(fault);
          this.options.onError?.(this.halted);
          throw fault;
        }
        this.next[partition] = record.offset + 1n;
      }
      // Compaction may have removed the records up to the end.
      if (records.length === 0) this.next[partition] = end;
    }
  }

  private checkHalted(): void {
    if (this.halted) throw this.halted;
  }

  private mustReadAgain(): boolean {
    return this.again && !this.stopped;
  }

  private haltedBy(): ThalamusError | undefined {
    return this.halted;
  }

  private isStopped(): boolean {
    return this.stopped;
  }
}
