import { ThalamusError } from '@thalamus/errors';
import type { BusRecord, ReceivedRecord, RecordPosition, TopicSpec } from '../event-bus.port.js';
import { LogDatabase } from './log-database.js';
import { LogElections, type Fence, type Leadership } from './log-elections.js';
import { LogGroups, type Heartbeat, type HeldPartition } from './log-groups.js';

/** A record as it is stored. */
export type StoredRecord = Omit<ReceivedRecord, 'attempt'>;

interface RecordRow {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly key: string;
  readonly value: Uint8Array | null;
  readonly headers: string;
  readonly timestamp: number;
}

interface TopicRow {
  readonly partitions: number;
  readonly compacted: number;
}

/** How long tombstones of compacted topics are kept, so that a reader that was away still sees them. */
export const TOMBSTONE_MS = 86_400_000;
const SWEPT_AT_ONCE = 500;

/**
 * The embedded log: synchronous SQLite calls, made in a worker thread so that a lock never stalls a service. Several
 * processes share one file (WAL); every change is one transaction.
 */
export class LogStore {
  private readonly database: LogDatabase;
  private readonly groups: LogGroups;
  private readonly elections: LogElections;

  /** @throws EVENT_LOG_CORRUPT, CONFIG_INVALID, EVENT_LOG_FULL, EVENT_LOG_BUSY */
  constructor(file: string, maxPages?: number) {
    this.database = new LogDatabase(file, maxPages);
    this.groups = new LogGroups(this.database);
    this.elections = new LogElections(this.database);
  }

  /** Makes topics that do not exist; leaves the others as they are. */
  ensureTopics(specs: readonly TopicSpec[]): void {
    this.database.transaction(() => {
      for (const spec of specs) {
        const made = this.database.run(
          'INSERT OR IGNORE INTO topics (name, partitions, compacted, retention_ms) VALUES (?, ?, ?, ?)',
          spec.name,
          spec.partitions,
          spec.compacted ? 1 : 0,
          spec.retentionMs ?? null,
        );
        for (let partition = 0; made === 1 && partition < spec.partitions; partition++)
          this.database.run(
            'INSERT INTO partitions (topic, partition, next_offset) VALUES (?, ?, 0)',
            spec.name,
            partition,
          );
      }
    });
  }

  /** Appends records; with `fence`, only while the holder still leads. @throws LEADERSHIP_LOST, EVENT_LOG_FULL, EVENT_INVALID */
  append(records: readonly BusRecord[], fence?: Fence): RecordPosition[] {
    return this.database.transaction(() => {
      if (fence) this.elections.check(fence);
      return records.map((record) => this.appendOne(record));
    });
  }

  /** Records of a partition from an offset on: at most `limit`, and no more once they have `maxBytes` of payload. */
  fetch(topic: string, partition: number, from: bigint, limit: number, maxBytes: number): StoredRecord[] {
    return this.database.translated(() => {
      const rows = this.database
        .prepare(
          'SELECT topic, partition, offset, key, value, headers, timestamp FROM records WHERE topic = ? AND partition = ? AND offset >= ? ORDER BY offset LIMIT ?',
        )
        .iterate(topic, partition, Number(from), limit) as Iterable<unknown> as Iterable<RecordRow>;
      const records: StoredRecord[] = [];
      let bytes = 0;
      for (const row of rows) {
        records.push(storedRecord(row));
        bytes += row.value?.byteLength ?? 0;
        if (bytes >= maxBytes) break;
      }
      return records;
    });
  }

  /** Offset that the next record of each partition will get; empty when there is no such topic. */
  ends(topic: string): bigint[] {
    return this.database.translated(() =>
      (
        this.database
          .prepare('SELECT next_offset AS next FROM partitions WHERE topic = ? ORDER BY partition')
          .all(topic) as unknown as { next: number }[]
      ).map((row) => BigInt(row.next)),
    );
  }

  /** Offset of the first record of each partition that was published at a moment or later; its end when there is none. */
  offsetsSince(topic: string, sinceMs: number): bigint[] {
    return this.database.translated(() =>
      (
        this.database
          .prepare(
            'SELECT COALESCE((SELECT MIN(offset) FROM records r WHERE r.topic = p.topic AND r.partition = p.partition AND r.timestamp >= ?), next_offset) AS next FROM partitions p WHERE topic = ? ORDER BY partition',
          )
          .all(sinceMs, topic) as unknown as { next: number }[]
      ).map((row) => BigInt(row.next)),
    );
  }

  heartbeat(beat: Heartbeat): HeldPartition[] {
    return this.groups.heartbeat(beat);
  }

  commit(group: string, member: string, topic: string, partition: number, nextOffset: bigint): boolean {
    return this.groups.commit(group, member, topic, partition, nextOffset);
  }

  leave(group: string, member: string): void {
    this.groups.leave(group, member);
  }

  campaign(role: string, holder: string, candidate: string, leaseMs: number): Leadership {
    return this.elections.campaign(role, holder, candidate, leaseMs);
  }

  resign(role: string, holder: string): void {
    this.elections.resign(role, holder);
  }

  /** Deletes what is past its time, a little at once so that no writer waits long; returns how many records went. */
  sweep(now = Date.now()): number {
    const topics = this.database
      .prepare('SELECT name, compacted, retention_ms AS retention FROM topics')
      .all() as unknown as { name: string; compacted: number; retention: number | null }[];
    let swept = 0;
    for (const { name, compacted, retention } of topics) {
      if (retention !== null) swept += this.deleteOlder(name, now - retention, '');
      if (compacted === 1) swept += this.deleteOlder(name, now - TOMBSTONE_MS, 'AND value IS NULL');
    }
    return swept;
  }

  /** A number that changes when another process has written. */
  dataVersion(): number {
    return this.database.translated(
      () => (this.database.prepare('PRAGMA data_version').get() as { data_version: number }).data_version,
    );
  }

  close(): void {
    this.database.close();
  }

  private deleteOlder(topic: string, before: number, condition: '' | 'AND value IS NULL'): number {
    let total = 0;
    for (;;) {
      const deleted = this.database.transaction(() =>
        this.database.run(
          `DELETE FROM records WHERE (topic, partition, offset) IN (SELECT topic, partition, offset FROM records WHERE topic = ? AND timestamp < ? ${condition} LIMIT ${SWEPT_AT_ONCE})`,
          topic,
          before,
        ),
      );
      total += deleted;
      if (deleted < SWEPT_AT_ONCE) return total;
    }
  }

  private appendOne(record: BusRecord): RecordPosition {
    const topic = this.database
      .prepare('SELECT partitions, compacted FROM topics WHERE name = ?')
      .get(record.topic) as TopicRow | undefined;
    if (!topic)
      throw new ThalamusError(
        'EVENT_INVALID',
        `The topic ${record.topic} does not exist; apply the topics first.`,
      );
    const partition = partitionOf(record.key, topic.partitions);
    const { offset } = this.database
      .prepare(
        'UPDATE partitions SET next_offset = next_offset + 1 WHERE topic = ? AND partition = ? RETURNING next_offset - 1 AS offset',
      )
      .get(record.topic, partition) as { offset: number };
    this.database.run(
      'INSERT INTO records (topic, partition, offset, key, value, headers, timestamp) VALUES (?, ?, ?, ?, ?, ?, ?)',
      record.topic,
      partition,
      offset,
      record.key,
      record.value,
      JSON.stringify(record.headers),
      Date.now(),
    );
    if (topic.compacted === 1)
      this.database.run(
        'DELETE FROM records WHERE topic = ? AND key = ? AND partition = ? AND offset < ?',
        record.topic,
        record.key,
        partition,
        offset,
      );
    return { topic: record.topic, partition, offset: BigInt(offset) };
  }
}

/** FNV-1a over the UTF-16 units of the key: the same key is always in the same partition. */
export function partitionOf(key: string, partitions: number): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  return (hash >>> 0) % partitions;
}

function storedRecord(row: RecordRow): StoredRecord {
  return {
    topic: row.topic,
    partition: row.partition,
    offset: BigInt(row.offset),
    key: row.key,
    value: row.value,
    headers: JSON.parse(row.headers) as Record<string, string>,
    timestampMs: row.timestamp,
  };
}
