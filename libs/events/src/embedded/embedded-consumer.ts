import { randomUUID } from 'node:crypto';
import type { SubscribeOptions, Subscription } from '../event-bus.port.js';
import type { RecordProcessor } from '../record-processor.js';
import type { LogClient } from './log-client.js';
import type { StoredRecord } from './log-store.js';

/** How long a silent member keeps its partitions. */
export const MEMBER_LEASE_MS = 3_000;
const HEARTBEAT_MS = 800;
const FETCH_LIMIT = 64;
const FETCH_BYTES = 1_048_576;

interface Lane {
  readonly topic: string;
  readonly partition: number;
  next: bigint;
  working: Promise<void> | undefined;
  held: boolean;
  /** Records may have come since the last look. */
  stale: boolean;
}

/** One member of a group on the embedded log: a lane for each partition it holds, records of a lane in order. */
export class EmbeddedConsumer implements Subscription {
  private readonly member = randomUUID();
  private readonly lanes = new Map<string, Lane>();
  private readonly stopping = new AbortController();
  private paused = false;
  private inFlight = 0;
  private heart: NodeJS.Timeout | undefined;
  private readonly waitingForRoom: (() => void)[] = [];

  constructor(
    private readonly log: LogClient,
    private readonly options: SubscribeOptions,
    private readonly processor: RecordProcessor,
  ) {}

  async start(): Promise<void> {
    await this.beat();
    this.heart = setInterval(() => void this.beat().catch(() => undefined), HEARTBEAT_MS);
    this.log.on('changed', this.wake);
  }

  async stop(deadlineMs = 10_000): Promise<void> {
    if (this.stopping.signal.aborted) return;
    this.stopping.abort();
    this.log.off('changed', this.wake);
    const working = [...this.lanes.values()].flatMap((lane) => (lane.working ? [lane.working] : []));
    let timer: NodeJS.Timeout | undefined;
    const deadline = new Promise<void>((resolve) => (timer = setTimeout(resolve, deadlineMs)));
    await Promise.race([Promise.all(working), deadline]);
    clearTimeout(timer);
    // Only now: while a handler finishes, the partition stays with this member.
    clearInterval(this.heart);
    await this.log.call('leave', this.options.group, this.member).catch(() => undefined);
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
    this.wake();
  }

  async lag(): Promise<bigint> {
    let total = 0n;
    for (const lane of this.lanes.values()) {
      const ends = await this.log.call('ends', lane.topic);
      total += (ends[lane.partition] ?? 0n) - lane.next;
    }
    return total;
  }

  private readonly wake = (): void => {
    if (this.paused || this.stopping.signal.aborted) return;
    for (const lane of this.lanes.values()) {
      if (!lane.held) continue;
      lane.stale = true;
      if (lane.working) continue;
      lane.working = this.work(lane).finally(() => {
        lane.working = undefined;
      });
    }
  };

  private async beat(): Promise<void> {
    const busy = [...this.lanes.values()]
      .filter(({ working }) => working !== undefined)
      .map(({ topic, partition }) => ({ topic, partition }));
    const held = await this.log.call('heartbeat', {
      group: this.options.group,
      member: this.member,
      topics: this.options.topics,
      leaseMs: MEMBER_LEASE_MS,
      latest: this.options.from === 'latest',
      busy,
    });
    const names = new Set<string>();
    for (const { topic, partition, nextOffset } of held) {
      const name = `${topic}/${partition}`;
      names.add(name);
      const lane = this.lanes.get(name);
      if (!lane)
        this.lanes.set(name, {
          topic,
          partition,
          next: nextOffset,
          working: undefined,
          held: true,
          stale: true,
        });
      else if (!lane.held) {
        lane.held = true;
        lane.next = nextOffset;
      }
    }
    for (const [name, lane] of this.lanes) {
      if (names.has(name)) continue;
      lane.held = false;
      if (!lane.working) this.lanes.delete(name);
    }
    this.wake();
  }

  private async work(lane: Lane): Promise<void> {
    while (lane.stale) {
      lane.stale = false;
      const { topic, partition, next } = lane;
      const records = await this.log
        .call('fetch', topic, partition, next, FETCH_LIMIT, FETCH_BYTES)
        .catch(() => []);
      for (const record of records) if (!(await this.handle(lane, record))) return;
      if (records.length > 0) lane.stale = true;
    }
  }

  /** False when the lane must stop. */
  private async handle(lane: Lane, record: StoredRecord): Promise<boolean> {
    await this.takeRoom();
    try {
      // Much may have happened while there was no room.
      if (this.paused || this.stopping.signal.aborted || !lane.held) return false;
      const disposition = await this.processor.process(record, this.stopping.signal);
      if (disposition === 'stopped') return false;
      const kept = await this.log.call(
        'commit',
        this.options.group,
        this.member,
        lane.topic,
        lane.partition,
        record.offset + 1n,
      );
      if (kept) lane.next = record.offset + 1n;
      else lane.held = false;
      return kept;
    } catch {
      // The log did not take the dead letter or the position: the record comes again with the next wake-up.
      return false;
    } finally {
      this.inFlight -= 1;
      this.waitingForRoom.shift()?.();
    }
  }

  /** Waits for room, and takes it in the same step: nobody else can see it free in between. */
  private async takeRoom(): Promise<void> {
    while (this.inFlight >= (this.options.maxInFlight ?? 16)) {
      await new Promise<void>((resolve) => this.waitingForRoom.push(resolve));
    }
    this.inFlight += 1;
  }
}
