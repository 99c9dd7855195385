/** Times that are looked at: the last ones. */
const KEPT = 400;
/** With fewer known, nothing is usual yet. */
const KNOWN = 100;
const SHARE = 0.95;

/** What most requests of a version took of late. */
export class UsualTime {
  private readonly recent: number[] = [];
  private readonly sorted: number[] = [];

  /** @param ms time of one request, milliseconds */
  add(ms: number): void {
    this.recent.push(ms);
    this.sorted.splice(this.placeOf(ms), 0, ms);
    if (this.recent.length <= KEPT) return;
    const oldest = this.recent.shift() as number;
    this.sorted.splice(this.placeOf(oldest), 1);
  }

  /** 95 in 100 took no longer, milliseconds; undefined while too few are known. */
  get tail(): number | undefined {
    return this.recent.length < KNOWN ? undefined : this.sorted[Math.floor(SHARE * this.sorted.length)];
  }

  /** Where a value stands, or would, among the sorted ones. */
  private placeOf(ms: number): number {
    let [low, high] = [0, this.sorted.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.sorted[middle] as number) < ms) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
