import type { LogDatabase } from './log-database.js';

/** A partition of a topic. */
export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

/** A partition that a member of a group holds, and where it goes on. */
export interface HeldPartition extends TopicPartition {
  readonly nextOffset: bigint;
}

/** A sign of life of a member. */
export interface Heartbeat {
  readonly group: string;
  readonly member: string;
  readonly topics: readonly string[];
  readonly leaseMs: number;
  /** True when a group without a position begins at the end. */
  readonly latest: boolean;
  /** Partitions in which the member handles a record just now: they stay with it until it is done. */
  readonly busy: readonly TopicPartition[];
}

const PARTITION = 'WHERE grp = ? AND topic = ? AND partition = ?';

/** Consumer groups: who holds which partition, and up to where each group has handled it. */
export class LogGroups {
  constructor(private readonly database: LogDatabase) {}

  /**
   * Renews a membership and shares the partitions of each topic among the live members that want it; returns what the member
   * holds. A partition changes hands only when its holder has let it go or its lease has lapsed.
   */
  heartbeat(beat: Heartbeat): HeldPartition[] {
    const now = Date.now();
    return this.database.transaction(() => {
      this.database.run('DELETE FROM members WHERE lease_until < ?', now);
      return beat.topics.flatMap((topic, index) => this.shareTopic(beat, topic, index, now));
    });
  }

  /** Moves the position of a group in a partition, when the member still holds it; false when it does not. */
  commit(group: string, member: string, topic: string, partition: number, nextOffset: bigint): boolean {
    return this.database.transaction(
      () =>
        this.database.run(
          `UPDATE offsets SET next_offset = ? ${PARTITION} AND owner = ?`,
          Number(nextOffset),
          group,
          topic,
          partition,
          member,
        ) === 1,
    );
  }

  /** Ends a membership and lets its partitions go. */
  leave(group: string, member: string): void {
    this.database.transaction(() => {
      this.database.run('DELETE FROM members WHERE member = ?', member);
      this.database.run(
        'UPDATE offsets SET owner = NULL, lease_until = 0 WHERE grp = ? AND owner = ?',
        group,
        member,
      );
    });
  }

  private shareTopic(beat: Heartbeat, topic: string, index: number, now: number): HeldPartition[] {
    const { group, member } = beat;
    const leaseUntil = now + beat.leaseMs;
    // Members are kept by group and topic, so that one that wants fewer topics is never given a partition of the others.
    const membership = `${group}\n${topic}`;
    this.database.run(
      'INSERT INTO members (grp, member, lease_until) VALUES (?, ?, ?) ON CONFLICT (grp, member) DO UPDATE SET lease_until = excluded.lease_until',
      membership,
      member,
      leaseUntil,
    );
    const members = (
      this.database
        .prepare('SELECT member FROM members WHERE grp = ? ORDER BY member')
        .all(membership) as unknown as { member: string }[]
    ).map((row) => row.member);
    const ends = this.database
      .prepare('SELECT partition, next_offset AS next FROM partitions WHERE topic = ? ORDER BY partition')
      .all(topic) as unknown as { partition: number; next: number }[];
    return ends.flatMap(({ partition, next }) => {
      const start = beat.latest ? next : 0;
      this.database.run(
        'INSERT OR IGNORE INTO offsets (grp, topic, partition, next_offset, owner, lease_until) VALUES (?, ?, ?, ?, NULL, 0)',
        group,
        topic,
        partition,
        start,
      );
      const mine = members[(index + partition) % members.length] === member;
      this.claim(beat, { topic, partition }, mine, { now, leaseUntil });
      const row = this.database
        .prepare(`SELECT next_offset AS next, owner FROM offsets ${PARTITION}`)
        .get(group, topic, partition) as { next: number; owner: string | null };
      return mine && row.owner === member ? [{ topic, partition, nextOffset: BigInt(row.next) }] : [];
    });
  }

  private claim(
    { group, member, busy }: Heartbeat,
    { topic, partition }: TopicPartition,
    mine: boolean,
    { now, leaseUntil }: { readonly now: number; readonly leaseUntil: number },
  ): void {
    if (mine)
      this.database.run(
        `UPDATE offsets SET owner = ?, lease_until = ? ${PARTITION} AND (owner IS NULL OR owner = ? OR lease_until < ?)`,
        member,
        leaseUntil,
        group,
        topic,
        partition,
        member,
        now,
      );
    else if (busy.some((item) => item.topic === topic && item.partition === partition))
      this.database.run(
        `UPDATE offsets SET lease_until = ? ${PARTITION} AND owner = ?`,
        leaseUntil,
        group,
        topic,
        partition,
        member,
      );
    else
      this.database.run(
        `UPDATE offsets SET owner = NULL, lease_until = 0 ${PARTITION} AND owner = ?`,
        group,
        topic,
        partition,
        member,
      );
  }
}
