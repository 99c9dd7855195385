/** Share of the way down that a charge goes with each measurement. */
const DOWN = 0.25;
/** What a process has before its first model, bytes: Node and the library of models. A measurement takes its place. */
export const PROCESS_BYTES = 64 * 2 ** 20;
/** Share of the way that the learned overhead goes with each process that was loaded. */
const LEARN = 0.25;
/** Models whose memory is remembered. */
const MOST = 4_096;

/**
 * What a process is charged once it was measured: what it has when that is more than before, so that the sum of charges is never
 * less than what was measured last; a part of the way down when it is less, so that what is free for a moment is not given away.
 * Never less than `floorBytes`, the weights that are open in it.
 */
export function charged(beforeBytes: number | undefined, measuredBytes: number, floorBytes: number): number {
  const least = Math.max(measuredBytes, floorBytes);
  if (beforeBytes === undefined || beforeBytes <= least) return least;
  return Math.max(least, Math.floor(beforeBytes - DOWN * (beforeBytes - least)));
}

/** What a model is expected to need, bytes. */
export interface ExpectedMemory {
  readonly likely: number;
  /** What it may need at least, as far as is known: what is refused for good does not fit even then. */
  readonly least: number;
}

/**
 * What models will need in processes of their own, learned from those that were loaded: a model that was here before needs what it
 * had right after it was loaded; another one its weights, and what processes have needed over the weights of theirs.
 */
export class MemoryExpectations {
  private readonly known = new Map<string, number>();
  private overhead: number | undefined;
  private leastOverhead = PROCESS_BYTES;

  expect(name: string, weightBytes: number): ExpectedMemory {
    const known = this.known.get(name);
    if (known !== undefined)
      return { likely: Math.max(known, weightBytes), least: Math.max(known, weightBytes) };
    const likely = weightBytes + (this.overhead ?? PROCESS_BYTES);
    return { likely, least: Math.min(likely, weightBytes + this.leastOverhead) };
  }

  /** A model was loaded, and nothing was run in its process yet but what warms it. */
  loaded(name: string, weightBytes: number, measuredBytes: number): void {
    const over = Math.max(0, measuredBytes - weightBytes);
    this.overhead = this.overhead === undefined ? over : this.overhead + LEARN * (over - this.overhead);
    this.leastOverhead = Math.min(this.leastOverhead, over);
    this.known.delete(name);
    this.known.set(name, measuredBytes);
    const [oldest] = this.known.keys();
    if (this.known.size > MOST && oldest !== undefined) this.known.delete(oldest);
  }
}
