import { context, ROOT_CONTEXT } from '@opentelemetry/api';
import { METRICS } from '@thalamus/contracts';
import { toThalamusError, type ErrorCode } from '@thalamus/errors';
import { counter, createLogger, gauge, headersFromContext } from '@thalamus/telemetry';
import type { BusRecord, EventBus } from './event-bus.port.js';
import { recordBytes } from './record-size.js';
import { SpoolFile } from './spool-file.js';

/** How the publisher behaves. */
export interface SpoolOptions {
  /** File that holds what the bus has not taken yet. */
  readonly file: string;
  /** Records that may wait. Default 10,000. */
  readonly maxRecords?: number;
  /** Bytes of records that may wait. Default 64 MiB. */
  readonly maxBytes?: number;
  /** Wait before the bus is tried again, and how long it may take before records go to disk, in milliseconds. Default 1,000. */
  readonly retryMs?: number;
  /** Rest after a batch, milliseconds: what comes meanwhile is one batch again. Under load that saves most transactions. Default 20. */
  readonly gatherMs?: number;
}

interface Entry {
  readonly record: BusRecord;
  readonly bytes: number;
  onDisk: boolean;
}

const BATCH = 200;
/** Records that a bus will never take: they are dropped, so that they do not stop the others. */
const HOPELESS: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['EVENT_TOO_LARGE', 'EVENT_INVALID']);

/**
 * Publishes without making anybody wait: records queue in memory, go to the bus in order, and to a bounded file while the
 * bus is away, is slow, or when the process ends. When the queue is full the oldest records are dropped, counted and logged.
 */
export class SpoolingPublisher {
  readonly name = 'outcome spool';
  private queue: Entry[] = [];
  /** What the bus is being given just now; still counted as waiting. */
  private offered: Entry[] = [];
  private bytes = 0;
  private working: Promise<void> | undefined;
  private retry: NodeJS.Timeout | undefined;
  private rest: NodeJS.Timeout | undefined;
  private draining = false;
  private saving: Promise<void> = Promise.resolve();
  private away = false;
  private closed = false;
  private droppedCount = 0;
  private stopGauge: () => void = () => undefined;
  private readonly logger = createLogger('spool');
  private readonly file: SpoolFile;
  private readonly maxRecords: number;
  private readonly maxBytes: number;
  private readonly retryMs: number;
  private readonly gatherMs: number;

  constructor(
    private readonly bus: Pick<EventBus, 'publish'>,
    options: SpoolOptions,
  ) {
    this.file = new SpoolFile(options.file);
    this.maxRecords = options.maxRecords ?? 10_000;
    this.maxBytes = options.maxBytes ?? 67_108_864;
    this.retryMs = options.retryMs ?? 1_000;
    this.gatherMs = options.gatherMs ?? 20;
  }

  /** Takes back what an earlier process left on disk. */
  async start(): Promise<void> {
    for (const record of await this.file.load()) this.add(record, true);
    this.bound();
    this.stopGauge = gauge(METRICS.spoolRecords, () => [[this.waiting, {}]]);
    counter(METRICS.spoolDropped).add(0);
    this.kick();
  }

  /** Records that wait. */
  get waiting(): number {
    return this.offered.length + this.queue.length;
  }

  /** Records that were dropped because the queue was full or the bus will never take them. */
  get dropped(): number {
    return this.droppedCount;
  }

  /** Queues a record; returns at once. The trace context of the caller travels along. */
  enqueue(record: BusRecord): void {
    this.add({ ...record, headers: { ...record.headers, ...headersFromContext() } }, false);
    this.bound();
    if (this.away) void this.save();
    else this.kick();
  }

  /** Publishes what it can within the time, writes the rest to disk, stops. */
  async drain(deadlineMs: number): Promise<void> {
    const until = performance.now() + deadlineMs;
    this.draining = true;
    this.endRest();
    while (this.waiting > 0 && performance.now() < until && this.retry === undefined) {
      this.kick();
      await within(this.working, until - performance.now());
    }
    this.closed = true;
    clearTimeout(this.retry);
    await this.save();
    this.stopGauge();
  }

  private add(record: BusRecord, onDisk: boolean): void {
    const bytes = recordBytes(record);
    this.queue.push({ record, bytes, onDisk });
    this.bytes += bytes;
  }

  private kick(): void {
    if (this.working || this.retry || this.rest || this.closed || this.queue.length === 0) return;
    // Not in the trace of whoever queued last: each record keeps its own.
    this.working = context
      .with(ROOT_CONTEXT, () => this.flush())
      .finally(() => {
        this.working = undefined;
        if (this.draining || this.queue.length >= BATCH) this.kick();
        else this.rest = setTimeout(() => this.endRest(), this.gatherMs).unref();
      });
  }

  private endRest(): void {
    clearTimeout(this.rest);
    this.rest = undefined;
    this.kick();
  }

  private async flush(): Promise<void> {
    this.offered = this.queue.splice(0, BATCH);
    const slow = setTimeout(() => void this.save(), this.retryMs);
    try {
      await this.offer();
      this.away = false;
      if (this.waiting === 0) await this.save();
    } catch (fault) {
      this.queue.unshift(...this.offered);
      this.offered = [];
      this.away = true;
      this.logger.warn(
        { code: toThalamusError(fault).code, waiting: this.waiting },
        'bus did not take records; they wait on disk',
      );
      await this.save();
      this.retry = setTimeout(() => {
        this.retry = undefined;
        this.kick();
      }, this.retryMs);
      this.retry.unref();
    } finally {
      clearTimeout(slow);
    }
  }

  /** Gives the bus a batch; when it will never take one of them, each by itself, so that only that one is lost. */
  private async offer(): Promise<void> {
    try {
      await this.bus.publish(this.offered.map(({ record }) => record));
      for (const entry of this.offered.splice(0)) this.bytes -= entry.bytes;
    } catch (fault) {
      if (!HOPELESS.has(toThalamusError(fault).code)) throw fault;
      while (this.offered.length > 0) await this.offerFirst();
    }
  }

  private async offerFirst(): Promise<void> {
    const entry = this.offered[0] as Entry;
    try {
      await this.bus.publish([entry.record]);
    } catch (fault) {
      const { code } = toThalamusError(fault);
      if (!HOPELESS.has(code)) throw fault;
      this.count(1, `the bus will never take it: ${code}`);
    }
    this.offered.shift();
    this.bytes -= entry.bytes;
  }

  /** Drops the oldest records beyond the bounds. */
  private bound(): void {
    let excess = 0;
    let bytes = this.bytes;
    while (excess < this.queue.length && (this.waiting - excess > this.maxRecords || bytes > this.maxBytes)) {
      bytes -= (this.queue[excess] as Entry).bytes;
      excess += 1;
    }
    if (excess === 0) return;
    this.queue.splice(0, excess);
    this.bytes = bytes;
    this.count(excess, 'the queue is full');
  }

  private count(records: number, reason: string): void {
    this.droppedCount += records;
    counter(METRICS.spoolDropped).add(records);
    this.logger.error({ dropped: records, total: this.droppedCount, reason }, 'records were dropped');
  }

  /** Brings the file up to date, one call after the other. */
  private save(): Promise<void> {
    this.saving = this.saving.then(() => this.saveNow());
    return this.saving;
  }

  private async saveNow(): Promise<void> {
    const waiting = [...this.offered, ...this.queue];
    const fresh = waiting.filter((entry) => !entry.onDisk);
    try {
      if (waiting.length === 0) {
        if (this.file.lines > 0) await this.file.replace([]);
      } else if (this.file.lines + fresh.length > 2 * this.maxRecords)
        await this.file.replace(waiting.map(({ record }) => record));
      else if (fresh.length > 0) await this.file.append(fresh.map(({ record }) => record));
      for (const entry of fresh) entry.onDisk = true;
    } catch (cause) {
      this.logger.error({ error: cause }, 'records could not be written to disk; they stay in memory');
    }
  }
}

async function within(work: Promise<void> | undefined, limitMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<void>((resolve) => (timer = setTimeout(resolve, Math.max(0, limitMs))));
  await Promise.race([work, limit]);
  clearTimeout(timer);
}
