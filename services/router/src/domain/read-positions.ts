import { timestampFromMs, timestampMs } from '@bufbuild/protobuf/wkt';
import type { eventsV1 } from '@thalamus/contracts';

/** A record of a topic: where it lies, and when it was published, Unix milliseconds. */
export interface ReadRecord {
  readonly partition: number;
  readonly offset: bigint;
  readonly timestampMs: number;
}

interface Position {
  readonly nextOffset: bigint;
  /** When the latest record so far was published, Unix milliseconds. */
  readonly publishedAtMs: number;
}

/** How far each partition of a topic has been read. */
export class ReadPositions {
  private readonly positions: Map<number, Position>;

  /** Goes on from what was written. */
  constructor(written: readonly eventsV1.FoldedPartition[] = []) {
    this.positions = new Map(
      written.map(({ partition, nextOffset, publishedAt }) => [
        partition,
        { nextOffset, publishedAtMs: publishedAt ? timestampMs(publishedAt) : 0 },
      ]),
    );
  }

  /** True for a record that has been read: it came again. */
  has({ partition, offset, timestampMs: publishedAtMs }: ReadRecord): boolean {
    const position = this.positions.get(partition);
    // A topic that was made anew counts from 0 again, with later records.
    return position !== undefined && offset < position.nextOffset && publishedAtMs <= position.publishedAtMs;
  }

  /** Remembers that a record has been read; one that comes again changes nothing. The latest moment counts: clocks of publishers differ. */
  passed(record: ReadRecord): void {
    if (this.has(record)) return;
    const { partition, offset, timestampMs: publishedAtMs } = record;
    const before = this.positions.get(partition);
    const isNext = before !== undefined && offset >= before.nextOffset;
    const latestMs = isNext ? Math.max(before.publishedAtMs, publishedAtMs) : publishedAtMs;
    this.positions.set(partition, { nextOffset: offset + 1n, publishedAtMs: latestMs });
  }

  /** As it is written. */
  toMessages() {
    return [...this.positions].map(([partition, { nextOffset, publishedAtMs }]) => ({
      partition,
      nextOffset,
      publishedAt: timestampFromMs(publishedAtMs),
    }));
  }
}
