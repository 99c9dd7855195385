/** How often something happened, and how long it took altogether. */
export interface Tally {
  readonly count: number;
  readonly ns: bigint;
}

const NOTHING: Tally = { count: 0, ns: 0n };

/** What a version did since it was loaded, as the statistics of the Open Inference Protocol count it. */
export class InferenceMeter {
  /** Requests that were answered, and the time from their arrival to their answer. */
  success = NOTHING;
  failure = NOTHING;
  /** Texts, or requests of a graph without texts, and how long they waited for their run. */
  queue = NOTHING;
  /** The same, and how long the runs took that they were in. */
  compute = NOTHING;
  /** Runs that the version had a part in, by how many of its texts were in them. */
  readonly batches = new Map<number, Tally>();
  /** Unix time of the last answer, milliseconds; 0 before the first. */
  lastInferenceMs = 0;

  answered(milliseconds: number): void {
    this.success = plus(this.success, 1, milliseconds);
    this.lastInferenceMs = Date.now();
  }

  failed(milliseconds: number): void {
    this.failure = plus(this.failure, 1, milliseconds);
  }

  /** Counts a run: how long each of the version's items in it had waited, and how long it took, milliseconds. */
  ran(waitsMs: readonly number[], milliseconds: number): void {
    const size = waitsMs.length;
    const waited = waitsMs.reduce((sum, wait) => sum + wait, 0);
    this.queue = plus(this.queue, size, waited);
    this.compute = plus(this.compute, size, size * milliseconds);
    this.batches.set(size, plus(this.batches.get(size) ?? NOTHING, 1, milliseconds));
  }
}

function plus({ count, ns }: Tally, more: number, milliseconds: number): Tally {
  return { count: count + more, ns: ns + BigInt(Math.round(milliseconds * 1e6)) };
}
