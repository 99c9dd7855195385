import { ThalamusError } from '@thalamus/errors';
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import type { BusRecord, ReceivedRecord, RecordPosition, TopicSpec } from '../event-bus.port.js';
import { LOG_SCHEMA, LOG_SCHEMA_VERSION } from './log-schema.js';

/** A partition of a topic. */
export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

/** A partition that a member of a group holds, and where it goes on. */
export interface HeldPartition extends TopicPartition {
  readonly nextOffset: bigint;
}

/** A record as it is stored. */
export type StoredRecord = Omit<ReceivedRecord, 'attempt'>;

/** Result of an attempt to lead. */
export interface Leadership {
  readonly leader: string;
  readonly term: bigint;
  /** True when the asker leads. */
  readonly held: boolean;
}

interface RecordRow {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly key: string;
  readonly value: Uint8Array | null;
  readonly headers: string;
  readonly timestamp: number;
}

const DAY_MS = 86_400_000;

/**
 * The embedded log: synchronous SQLite calls, made in a worker thread so that a lock never stalls a service. Several
 * processes share one file (WAL); every change is one transaction.
 */
export class LogStore {
  private readonly database: DatabaseSync;
  private readonly statements = new Map<string, StatementSync>();

  /** @throws EVENT_LOG_CORRUPT when the file is torn, of another version, or not a log. */
  constructor(
    private readonly file: string,
    maxPages?: number,
  ) {
    try {
      this.database = new DatabaseSync(file, { timeout: 10_000 });
      this.database.exec(
        'PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 1000;',
      );
      if (maxPages !== undefined) this.database.exec(`PRAGMA max_page_count = ${maxPages}`);
      const version = this.versionOf();
      if (version === 0) this.database.exec(LOG_SCHEMA);
      else if (version !== LOG_SCHEMA_VERSION)
        throw new Error(`its format is ${version}, this program writes ${LOG_SCHEMA_VERSION}`);
      const check = this.database.prepare('PRAGMA quick_check(1)').get() as
        { quick_check?: string } | undefined;
      if (check?.quick_check !== 'ok') throw new Error(check?.quick_check ?? 'the check failed');
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      if (/unable to open|readonly|permission/i.test(reason)) {
        throw new ThalamusError(
          'CONFIG_INVALID',
          `The event log ${file} cannot be opened (${reason}); check that its folder exists and can be written.`,
          { cause },
        );
      }
      throw new ThalamusError(
        'EVENT_LOG_CORRUPT',
        `The event log ${file} cannot be used (${reason}). Move it away to start afresh, or restore it from a copy.`,
        { cause },
      );
    }
  }

  /** Makes topics that do not exist. */
  ensureTopics(specs: readonly TopicSpec[]): void {
    this.transaction(() => {
      for (const spec of specs) {
        this.run(
          'INSERT OR IGNORE INTO topics (name, partitions, compacted, retention_ms) VALUES (?, ?, ?, ?)',
          spec.name,
          spec.partitions,
          spec.compacted ? 1 : 0,
          spec.retentionMs ?? null,
        );
        for (let partition = 0; partition < spec.partitions; partition++) {
          this.run(
            'INSERT OR IGNORE INTO partitions (topic, partition, next_offset) VALUES (?, ?, 0)',
            spec.name,
            partition,
          );
        }
      }
    });
  }

  /** Appends records; with `fence`, only while the holder still leads. */
  append(
    records: readonly BusRecord[],
    fence?: { readonly role: string; readonly holder: string; readonly term: bigint },
  ): RecordPosition[] {
    return this.transaction(() => {
      if (fence) this.checkFence(fence);
      return records.map((record) => this.appendOne(record));
    });
  }

  /** Records of a partition from an offset on. */
  fetch(topic: string, partition: number, from: bigint, limit: number): StoredRecord[] {
    const rows = this.prepare(
      'SELECT topic, partition, offset, key, value, headers, timestamp FROM records WHERE topic = ? AND partition = ? AND offset >= ? ORDER BY offset LIMIT ?',
    ).all(topic, partition, Number(from), limit) as unknown as RecordRow[];
    return rows.map((row) => ({
      topic: row.topic,
      partition: row.partition,
      offset: BigInt(row.offset),
      key: row.key,
      value: row.value,
      headers: JSON.parse(row.headers) as Record<string, string>,
      timestampMs: row.timestamp,
    }));
  }

  /** Offset that the next record of each partition will get. */
  ends(topic: string): bigint[] {
    const rows = this.prepare(
      'SELECT next_offset AS next FROM partitions WHERE topic = ? ORDER BY partition',
    ).all(topic) as { next: number }[];
    return rows.map((row) => BigInt(row.next));
  }

  /**
   * Renews a membership and shares the partitions of a group among its live members; returns what the member holds. A
   * partition changes hands only when its holder has let it go or its lease has lapsed.
   */
  heartbeat(request: {
    readonly group: string;
    readonly member: string;
    readonly topics: readonly string[];
    readonly leaseMs: number;
    readonly latest: boolean;
    readonly busy: readonly TopicPartition[];
  }): HeldPartition[] {
    const { group, member, topics } = request;
    const now = Date.now();
    return this.transaction(() => {
      this.run('DELETE FROM members WHERE lease_until < ?', now);
      this.run(
        'INSERT INTO members (grp, member, lease_until) VALUES (?, ?, ?) ON CONFLICT (grp, member) DO UPDATE SET lease_until = excluded.lease_until',
        group,
        member,
        now + request.leaseMs,
      );
      const members = (
        this.prepare('SELECT member FROM members WHERE grp = ? ORDER BY member').all(group) as {
          member: string;
        }[]
      ).map((row) => row.member);
      const held: HeldPartition[] = [];
      let index = 0;
      for (const topic of topics) {
        const ends = this.ends(topic);
        for (let partition = 0; partition < ends.length; partition++, index++) {
          const mine = members[index % members.length] === member;
          const start = request.latest ? Number(ends[partition]) : 0;
          this.run(
            'INSERT OR IGNORE INTO offsets (grp, topic, partition, next_offset, owner, lease_until) VALUES (?, ?, ?, ?, NULL, 0)',
            group,
            topic,
            partition,
            start,
          );
          const keep =
            mine || request.busy.some((item) => item.topic === topic && item.partition === partition);
          const where = 'WHERE grp = ? AND topic = ? AND partition = ?';
          if (keep) {
            const condition = mine
              ? '(owner IS NULL OR owner = ? OR lease_until < ?)'
              : 'owner = ? AND ? > 0';
            this.run(
              `UPDATE offsets SET owner = ?, lease_until = ? ${where} AND ${condition}`,
              member,
              now + request.leaseMs,
              group,
              topic,
              partition,
              member,
              now,
            );
          } else
            this.run(
              `UPDATE offsets SET owner = NULL, lease_until = 0 ${where} AND owner = ?`,
              group,
              topic,
              partition,
              member,
            );
          const row = this.prepare(`SELECT next_offset AS next, owner FROM offsets ${where}`).get(
            group,
            topic,
            partition,
          ) as { next: number; owner: string | null };
          if (mine && row.owner === member) held.push({ topic, partition, nextOffset: BigInt(row.next) });
        }
      }
      return held;
    });
  }

  /** Moves the position of a group in a partition, when the member still holds it; false when it does not. */
  commit(group: string, member: string, topic: string, partition: number, nextOffset: bigint): boolean {
    const changes = this.transaction(() =>
      this.run(
        'UPDATE offsets SET next_offset = ? WHERE grp = ? AND topic = ? AND partition = ? AND owner = ?',
        Number(nextOffset),
        group,
        topic,
        partition,
        member,
      ),
    );
    return changes === 1;
  }

  /** Ends a membership and lets its partitions go. */
  leave(group: string, member: string): void {
    this.transaction(() => {
      this.run('DELETE FROM members WHERE grp = ? AND member = ?', group, member);
      this.run('UPDATE offsets SET owner = NULL, lease_until = 0 WHERE grp = ? AND owner = ?', group, member);
    });
  }

  /** Asks for, or renews, the leadership of a role. */
  campaign(role: string, holder: string, candidate: string, leaseMs: number): Leadership {
    const now = Date.now();
    return this.transaction(() => {
      const row = this.prepare(
        'SELECT holder, candidate, term, lease_until AS lease FROM leaders WHERE role = ?',
      ).get(role) as { holder: string; candidate: string; term: number; lease: number } | undefined;
      if (row && row.holder !== holder && row.lease >= now)
        return { leader: row.candidate, term: BigInt(row.term), held: false };
      const term = row?.holder === holder && row.lease > 0 ? row.term : (row?.term ?? 0) + 1;
      this.run(
        'INSERT INTO leaders (role, holder, candidate, term, lease_until) VALUES (?, ?, ?, ?, ?) ON CONFLICT (role) DO UPDATE SET holder = excluded.holder, candidate = excluded.candidate, term = excluded.term, lease_until = excluded.lease_until',
        role,
        holder,
        candidate,
        term,
        now + leaseMs,
      );
      return { leader: candidate, term: BigInt(term), held: true };
    });
  }

  /** Ends a leadership so that another may be elected at once. */
  resign(role: string, holder: string): void {
    this.transaction(() =>
      this.run('UPDATE leaders SET lease_until = 0 WHERE role = ? AND holder = ?', role, holder),
    );
  }

  /** Deletes what is past its time: records by retention, tombstones of compacted topics after a day. */
  sweep(): void {
    const now = Date.now();
    this.transaction(() => {
      this.run(
        'DELETE FROM records WHERE EXISTS (SELECT 1 FROM topics WHERE topics.name = records.topic AND topics.retention_ms IS NOT NULL AND records.timestamp < ? - topics.retention_ms)',
        now,
      );
      this.run(
        'DELETE FROM records WHERE value IS NULL AND timestamp < ? AND EXISTS (SELECT 1 FROM topics WHERE topics.name = records.topic AND topics.compacted = 1)',
        now - DAY_MS,
      );
    });
  }

  /** A number that changes when another process has written. */
  dataVersion(): number {
    return (this.prepare('PRAGMA data_version').get() as { data_version: number }).data_version;
  }

  close(): void {
    this.database.close();
  }

  private appendOne(record: BusRecord): RecordPosition {
    const topic = this.prepare('SELECT partitions, compacted FROM topics WHERE name = ?').get(
      record.topic,
    ) as { partitions: number; compacted: number } | undefined;
    if (!topic)
      throw new ThalamusError(
        'EVENT_INVALID',
        `The topic ${record.topic} does not exist; apply the topics first.`,
      );
    const partition = partitionOf(record.key, topic.partitions);
    const row = this.prepare(
      'UPDATE partitions SET next_offset = next_offset + 1 WHERE topic = ? AND partition = ? RETURNING next_offset - 1 AS offset',
    ).get(record.topic, partition) as { offset: number };
    this.run(
      'INSERT INTO records (topic, partition, offset, key, value, headers, timestamp) VALUES (?, ?, ?, ?, ?, ?, ?)',
      record.topic,
      partition,
      row.offset,
      record.key,
      record.value,
      JSON.stringify(record.headers),
      Date.now(),
    );
    if (topic.compacted === 1) {
      this.run(
        'DELETE FROM records WHERE topic = ? AND key = ? AND partition = ? AND offset < ?',
        record.topic,
        record.key,
        partition,
        row.offset,
      );
    }
    return { topic: record.topic, partition, offset: BigInt(row.offset) };
  }

  private checkFence(fence: { readonly role: string; readonly holder: string; readonly term: bigint }): void {
    const row = this.prepare('SELECT holder, candidate, term FROM leaders WHERE role = ?').get(fence.role) as
      { holder: string; candidate: string; term: number } | undefined;
    if (row?.holder !== fence.holder || BigInt(row.term) !== fence.term) {
      throw new ThalamusError(
        'LEADERSHIP_LOST',
        `${row?.candidate ?? 'Nobody'} now leads ${fence.role}; send the write there.`,
        { metadata: { leader: row?.candidate ?? '' } },
      );
    }
  }

  private versionOf(): number {
    return (this.database.prepare('PRAGMA user_version').get() as { user_version: number }).user_version;
  }

  private prepare(sql: string): StatementSync {
    let statement = this.statements.get(sql);
    if (!statement) {
      statement = this.database.prepare(sql);
      this.statements.set(sql, statement);
    }
    return statement;
  }

  private run(sql: string, ...values: SQLInputValue[]): number {
    return Number(this.prepare(sql).run(...values).changes);
  }

  private transaction<T>(work: () => T): T {
    try {
      this.database.exec('BEGIN IMMEDIATE');
      const result = work();
      this.database.exec('COMMIT');
      return result;
    } catch (cause) {
      if (this.database.isTransaction) this.database.exec('ROLLBACK');
      throw this.translate(cause);
    }
  }

  private translate(cause: unknown): unknown {
    if (ThalamusError.is(cause)) return cause;
    const code = (cause as { errcode?: number }).errcode ?? 0;
    if ((code & 0xff) === 13)
      return new ThalamusError(
        'EVENT_LOG_FULL',
        `The disk that holds ${this.file} is full; free some space, nothing was written.`,
        { cause },
      );
    if ((code & 0xff) === 11 || (code & 0xff) === 26)
      return new ThalamusError(
        'EVENT_LOG_CORRUPT',
        `The event log ${this.file} is damaged; move it away to start afresh, or restore it from a copy.`,
        { cause },
      );
    return cause;
  }
}

/** FNV-1a over the UTF-16 units of the key: the same key is always in the same partition. */
export function partitionOf(key: string, partitions: number): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  return (hash >>> 0) % partitions;
}
