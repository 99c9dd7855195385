import type { Probe } from '@thalamus/compatibility';
import { createHash } from 'node:crypto';

/** How fast probes are asked. */
export interface ProbePace {
  /** Items of a round. */
  readonly roundItems: number;
  /** From the end of a round to the next, milliseconds. */
  readonly everyMs: number;
}

/** Tries of an item; then it is dropped. */
export const MAX_TRIES = 5;
/** Longest pause after rounds in which items could not be asked, milliseconds. */
export const MAX_PAUSE_MS = 60_000;

/**
 * The probes of a release that are still to be asked, in an order that its id seeds. What could not be asked goes to the end, so often; after
 * a round with such items the pause doubles. No clock: moments are given, monotonic milliseconds.
 */
export class ProbeQueue {
  private waiting: Probe[];
  private readonly tries = new Map<string, number>();
  private pauseMs: number;
  private nextAtMs = -Infinity;
  /** Items that could not be asked so often that they are not asked again. */
  dropped = 0;

  constructor(
    releaseId: string,
    probes: readonly Probe[],
    private readonly pace: ProbePace,
  ) {
    this.waiting = inOrder(releaseId, probes);
    this.pauseMs = pace.everyMs;
  }

  /** Items that wait. */
  get left(): number {
    return this.waiting.length;
  }

  /** Takes the items of the next round out; none while it is not due. Those that are answered are not asked again. */
  due(nowMs: number, isAnswered: (item: string) => boolean): readonly Probe[] {
    if (nowMs < this.nextAtMs) return [];
    this.waiting = this.waiting.filter(({ id }) => !isAnswered(id));
    return this.waiting.splice(0, this.pace.roundItems);
  }

  /** An item that could not be asked: whether it comes again. */
  failed(probe: Probe): boolean {
    const tries = (this.tries.get(probe.id) ?? 0) + 1;
    this.tries.set(probe.id, tries);
    if (tries < MAX_TRIES) this.waiting.push(probe);
    else this.dropped += 1;
    return tries < MAX_TRIES;
  }

  /** Puts items back that nothing was learnt of, through no fault of theirs. */
  back(probes: readonly Probe[]): void {
    this.waiting.unshift(...probes);
  }

  /** A round has ended; `isWhole` when all its items were answered. */
  ended(nowMs: number, isWhole: boolean): void {
    this.pauseMs = isWhole ? this.pace.everyMs : Math.min(MAX_PAUSE_MS, 2 * this.pauseMs);
    this.nextAtMs = nowMs + this.pauseMs;
  }
}

/** The same order for the same release, however the file was sorted. */
function inOrder(releaseId: string, probes: readonly Probe[]): Probe[] {
  const keyed = probes.map((probe) => ({
    probe,
    key: createHash('sha256').update(`${releaseId}\n${probe.id}`).digest('hex'),
  }));
  return keyed.sort((a, b) => (a.key < b.key ? -1 : 1)).map(({ probe }) => probe);
}
