import type { ScoreChanges } from '../score-changes.js';

/** Sums up how a continuous score changed, item by item, in constant memory; the figures of `scoreChanges`. */
export class ScoreSums {
  private n = 0;
  private sum = 0;
  private gains = 0;
  private losses = 0;
  private gained = 0;
  private lost = 0;

  /** Takes one item in; NaN on either side means that it has no score there, and it is left out. */
  add(before: number, after: number): void {
    const change = after - before;
    if (Number.isNaN(change)) return;
    this.n += 1;
    this.sum += change;
    if (change > 0) {
      this.gains += 1;
      this.gained += change;
    } else if (change < 0) {
      this.losses += 1;
      this.lost -= change;
    }
  }

  /** Undefined when no item had both scores. */
  get changes(): ScoreChanges | undefined {
    const { n, sum, gains, losses, gained, lost } = this;
    if (n === 0) return undefined;
    return {
      n,
      meanChange: sum / n,
      lower: losses / n,
      higher: gains / n,
      gainSize: gains === 0 ? 0 : gained / gains,
      regressionSize: losses === 0 ? 0 : lost / losses,
    };
  }
}
