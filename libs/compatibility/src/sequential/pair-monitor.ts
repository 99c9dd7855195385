import { RateMonitor, type RateReading } from './rate-monitor.js';

/** Evidence that the new version is worse than the old. */
export interface PairReading extends RateReading {
  /** Pairs that were equal: they say nothing. */
  readonly ties: number;
}

/**
 * An always-valid test of "the new version is not worse", from pairs of an old and a new measurement, such as whether an answer failed or
 * how long it took: of the pairs that differ, the new one is the larger in half at most (a sequential sign test). No assumption on the
 * form of the values. Either pairs are of the same request (shadow), or the next ones of two streams that were split by chance (canary).
 */
export class PairMonitor {
  private readonly worse: RateMonitor;
  private ties = 0;

  /** @param level chance that an alarm is ever raised while the new version is not worse */
  constructor(level: number) {
    this.worse = new RateMonitor({ limit: 0.5, level });
  }

  /** Takes one pair in; larger is worse. */
  add(before: number, after: number): PairReading {
    if (before === after) this.ties += 1;
    else this.worse.add(after > before);
    return this.reading;
  }

  get reading(): PairReading {
    return { ...this.worse.reading, ties: this.ties };
  }
}
