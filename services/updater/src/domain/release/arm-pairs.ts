import { PairMonitor, type PairReading } from '@thalamus/compatibility';

/** Values of one arm that wait for the other's; older ones are dropped, so that pairs are of about the same time. */
const MOST_WAITING = 8;

/**
 * Pairs the values of two streams of requests that were split by chance, each with the next of the other, and tests "the candidate's are
 * not larger". Only requests of one kind are paired.
 */
export class ArmPairs {
  private readonly monitor: PairMonitor;
  private readonly waiting = new Map<string, { readonly stable: number[]; readonly candidate: number[] }>();

  /** @param level chance that an alarm is ever raised while the candidate is not worse */
  constructor(level: number) {
    this.monitor = new PairMonitor(level);
  }

  /** Whether the candidate's is the larger of the pair that this value makes; undefined when it makes none, or both are equal. */
  add(arm: 'stable' | 'candidate', kind: string, value: number): boolean | undefined {
    const queues = this.waiting.get(kind) ?? { stable: [], candidate: [] };
    this.waiting.set(kind, queues);
    queues[arm].push(value);
    if (queues[arm].length > MOST_WAITING) queues[arm].shift();
    const [before] = queues.stable;
    const [after] = queues.candidate;
    if (before === undefined || after === undefined) return undefined;
    queues.stable.shift();
    queues.candidate.shift();
    this.monitor.add(before, after);
    return before === after ? undefined : after > before;
  }

  get reading(): PairReading {
    return this.monitor.reading;
  }
}
