import { RateMonitor } from '@thalamus/compatibility';
import type { eventsV1 } from '@thalamus/contracts';
import type { NamedTest } from './gate-tests.js';

/** Ids of lost items that are kept. */
const MAX_LOST = 1_000;

/** Name of the test. */
export const PROBE_TEST = 'probe.flips';

/**
 * What labelled probes say of a candidate: an always-valid test of "it loses at most the limit of what the stable version has right". Each item
 * counts once, in a seeded order, so that whoever reads the same events again knows the same.
 */
export class ProbeEvidence {
  private readonly flips: RateMonitor;
  private readonly items = new Set<string>();
  /** Ids of items that the stable version has right and the candidate wrong. No text. */
  readonly lost: string[] = [];

  constructor(
    private readonly limit: number,
    level: number,
  ) {
    this.flips = new RateMonitor({ limit, level });
  }

  /** Whether an answered item is a negative flip; undefined when it was known already. */
  take({ item, stableRight, candidateRight }: eventsV1.ProbeAnswered): boolean | undefined {
    if (this.items.has(item)) return undefined;
    this.items.add(item);
    const isFlip = stableRight && !candidateRight;
    this.flips.add(isFlip);
    if (isFlip && this.lost.length < MAX_LOST) this.lost.push(item);
    return isFlip;
  }

  has(item: string): boolean {
    return this.items.has(item);
  }

  /** Items that both versions have answered. */
  get count(): number {
    return this.items.size;
  }

  get test(): NamedTest {
    return [PROBE_TEST, this.flips.reading, this.limit];
  }
}
