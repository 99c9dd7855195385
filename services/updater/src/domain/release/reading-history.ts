import type { releaseV1 } from '@thalamus/contracts';

/** Each kept reading counts at least so many times the trials of the one before: a release of a million requests has about 70. */
const GROWTH = 1.2;

/**
 * What the tests of a release said on the way, thinned out: kept as trials grow, not as time passes, so that whoever reads the same
 * events again keeps the same.
 */
export class ReadingHistory {
  private readonly kept: releaseV1.LiveReading[] = [];
  private next = 1;

  /** Takes a reading if it has enough trials, all tests together, beyond the last that was kept. */
  note(trials: number, reading: () => releaseV1.LiveReading): void {
    if (trials < this.next) return;
    this.kept.push(reading());
    this.next = Math.max(trials + 1, Math.ceil(trials * GROWTH));
  }

  /** Oldest first. */
  get readings(): readonly releaseV1.LiveReading[] {
    return this.kept;
  }
}
