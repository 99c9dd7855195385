import { METRICS } from '@thalamus/contracts';
import { ThalamusError, toThalamusError } from '@thalamus/errors';
import { counter, createLogger, gauge } from '@thalamus/telemetry';
import { existsSync } from 'node:fs';
import { appendFile, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { context, ROOT_CONTEXT } from '@opentelemetry/api';
import type { BusRecord, EventBus } from './event-bus.port.js';
import { headersFromContext } from '@thalamus/telemetry';

/** How the publisher behaves. */
export interface SpoolOptions {
  /** File that holds what the bus has not taken yet. */
  readonly file: string;
  /** Records that may wait, in memory and on disk together. Default 10,000. */
  readonly maxRecords?: number;
  /** Wait before the bus is tried again, in milliseconds. Default 1,000. */
  readonly retryMs?: number;
}

const BATCH = 200;

/**
 * Publishes without making anybody wait: records queue in memory, go to the bus in order, and to a bounded file while the
 * bus is away or when the process ends. When the queue is full the oldest records are dropped, counted and logged.
 */
export class SpoolingPublisher {
  readonly name = 'outcome spool';
  private queue: BusRecord[] = [];
  private working: Promise<void> | undefined;
  private retry: NodeJS.Timeout | undefined;
  private onDisk = 0;
  private closed = false;
  private droppedCount = 0;
  private stopGauge: () => void = () => undefined;
  private readonly logger = createLogger('spool');

  constructor(
    private readonly bus: Pick<EventBus, 'publish'>,
    private readonly options: SpoolOptions,
  ) {}

  /** Takes back what an earlier process left on disk. */
  async start(): Promise<void> {
    await mkdir(dirname(this.options.file), { recursive: true });
    this.queue.push(...(await this.readFile()));
    this.onDisk = this.queue.length;
    this.stopGauge = gauge(METRICS.spoolRecords, () => [[this.queue.length, {}]]);
    this.kick();
  }

  /** Records that wait. */
  get waiting(): number {
    return this.queue.length;
  }

  /** Records that were dropped because the queue was full. */
  get dropped(): number {
    return this.droppedCount;
  }

  /** Queues a record; returns at once. The trace context of the caller travels along. */
  enqueue(record: BusRecord): void {
    this.queue.push({ ...record, headers: { ...record.headers, ...headersFromContext() } });
    const excess = this.queue.length - (this.options.maxRecords ?? 10_000);
    if (excess > 0) this.drop(excess);
    this.kick();
  }

  /** Publishes what it can within the time, writes the rest to disk, stops. */
  async drain(deadlineMs: number): Promise<void> {
    const until = Date.now() + deadlineMs;
    while (this.queue.length > 0 && Date.now() < until && this.retry === undefined) {
      this.kick();
      await this.working;
    }
    this.closed = true;
    clearTimeout(this.retry);
    await this.working;
    await this.persist();
    this.stopGauge();
  }

  private kick(): void {
    if (this.working || this.retry || this.closed || this.queue.length === 0) return;
    this.working = context
      .with(ROOT_CONTEXT, () => this.flush())
      .finally(() => {
        this.working = undefined;
        if (this.queue.length > 0) setImmediate(() => this.kick());
      });
  }

  private async flush(): Promise<void> {
    const batch = this.queue.slice(0, BATCH);
    try {
      await this.bus.publish(batch);
      this.queue.splice(0, batch.length);
      if (this.onDisk > 0) {
        this.onDisk = 0;
        await rm(this.options.file, { force: true });
      }
    } catch (fault) {
      const error = toThalamusError(fault);
      if (error.code === 'EVENT_TOO_LARGE' || error.code === 'EVENT_INVALID') {
        // Never accepted, so never retried: one such record must not stop the others.
        this.drop(1);
        return;
      }
      this.logger.warn(
        { code: error.code, waiting: this.queue.length },
        'bus did not take records; they wait on disk',
      );
      await this.persist();
      this.retry = setTimeout(() => {
        this.retry = undefined;
        this.kick();
      }, this.options.retryMs ?? 1_000);
      this.retry.unref();
    }
  }

  private drop(count: number): void {
    this.queue.splice(0, count);
    this.droppedCount += count;
    counter(METRICS.spoolDropped).add(count);
    this.logger.error({ dropped: count, total: this.droppedCount }, 'records were dropped');
  }

  private async persist(): Promise<void> {
    try {
      if (this.queue.length === 0) await rm(this.options.file, { force: true });
      else {
        const lines = this.queue.map((record) =>
          JSON.stringify({
            ...record,
            value: record.value === null ? null : Buffer.from(record.value).toString('base64'),
          }),
        );
        await writeFile(`${this.options.file}.tmp`, `${lines.join('\n')}\n`);
        await rename(`${this.options.file}.tmp`, this.options.file);
        this.onDisk = this.queue.length;
      }
    } catch (cause) {
      this.logger.error({ error: cause }, 'records could not be written to disk; they stay in memory');
    }
  }

  private async readFile(): Promise<BusRecord[]> {
    if (!existsSync(this.options.file)) return [];
    const records: BusRecord[] = [];
    for (const line of (await readFile(this.options.file, 'utf8')).split('\n')) {
      if (line === '') continue;
      try {
        const parsed = JSON.parse(line) as Omit<BusRecord, 'value'> & { value: string | null };
        records.push({
          ...parsed,
          value: parsed.value === null ? null : new Uint8Array(Buffer.from(parsed.value, 'base64')),
        });
      } catch {
        await appendFile(`${this.options.file}.damaged`, `${line}\n`);
        const error = new ThalamusError(
          'EVENT_INVALID',
          'A line of the spool is damaged; it was moved aside.',
        );
        this.logger.error(
          { file: `${this.options.file}.damaged`, code: error.code },
          'a spooled record is damaged',
        );
      }
    }
    return records;
  }
}
