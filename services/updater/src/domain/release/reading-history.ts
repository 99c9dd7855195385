import type { releaseV1 } from '@thalamus/contracts';

/** Each kept reading counts at least so many times what the one before did: a release of a million requests has about 70. */
const GROWTH = 1.2;

/**
 * What the tests of a release said on the way, thinned out: kept as requests and feedback grow, not as time passes, so that whoever reads the same
 * events again keeps the same.
 */
export class ReadingHistory {
  private readonly kept: releaseV1.LiveReading[] = [];
  private next = 1;

  /** Takes a reading if it counts enough requests and feedback beyond the last that was kept. */
  note(counted: number, reading: () => releaseV1.LiveReading): void {
    if (counted < this.next) return;
    this.kept.push(reading());
    this.next = Math.max(counted + 1, Math.ceil(counted * GROWTH));
  }

  /** Oldest first. */
  get readings(): readonly releaseV1.LiveReading[] {
    return this.kept;
  }
}
