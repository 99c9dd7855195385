/** Share of the newest run in what a run typically takes. */
const NEWEST = 0.2;
/** Share by which a slower run raises what the quickest is held to be: many slow runs in a row do, one does not. */
const RISE = 0.02;
/** What a run is held to take before there was one, milliseconds. */
const FIRST_MS = 5;

/** How long runs take, from those that were. Times in milliseconds on the clock of `performance`. */
export class RunPace {
  private typicalMs = FIRST_MS;
  private quickMs = 0;
  private readonly begunAt: number[] = [];

  /** @param concurrency - runs that go on at a time */
  constructor(private readonly concurrency: () => number) {}

  /** What a run takes at least, held low: work that takes longer than its caller waits is refused for certain alone. */
  get quickestMs(): number {
    return this.quickMs;
  }

  begun(now: number): void {
    this.begunAt.push(now);
  }

  ended(begunAt: number, now: number): void {
    this.begunAt.splice(this.begunAt.indexOf(begunAt), 1);
    const tookMs = now - begunAt;
    this.typicalMs += NEWEST * (tookMs - this.typicalMs);
    this.quickMs = Math.min(tookMs, this.quickMs + RISE * (tookMs - this.quickMs));
  }

  /** How long so many runs take; with `now`, besides what is left of those that go on and leave no place. */
  msFor(runs: number, now?: number): number {
    const ownMs = (runs * this.typicalMs) / this.concurrency();
    if (now === undefined || this.begunAt.length < this.concurrency()) return ownMs;
    return ownMs + Math.max(0, this.typicalMs - (now - Math.min(...this.begunAt)));
  }
}
