import { wilson, type Rate } from './intervals.js';
import { mcnemarExact, mcnemarMidP } from './mcnemar.js';
import type { MeanInterval } from './paired-bootstrap.js';
import { binomialTail } from './statistics/binomial-tail.js';
import { bootstrapAccuracy } from './statistics/bootstrap-accuracy.js';
import { scoreDifference } from './statistics/score-difference.js';

/** Whether an update breaks what worked. */
export type Verdict = 'compatible' | 'incompatible' | 'inconclusive';

/** What is counted of items that two versions answered. */
export interface FlipCounts {
  readonly n: number;
  readonly oldRight: number;
  readonly newRight: number;
  /** Old right, new wrong. */
  readonly negative: number;
  /** Old wrong, new right. */
  readonly positive: number;
  /** New wrong and another answer than the old one's. */
  readonly inconsistent: number;
}

/** Figures of one slice of items. */
export interface SliceComparison {
  /** Name of the slice; empty for all items. */
  readonly slice: string;
  readonly n: number;
  readonly oldAccuracy: Rate;
  readonly newAccuracy: Rate;
  /** New less old accuracy: paired bootstrap, or Tango’s score interval where few items flipped. */
  readonly accuracyDifference: MeanInterval;
  /** NFR: old right, new wrong. */
  readonly negativeFlips: Rate;
  /** PFR: old wrong, new right. */
  readonly positiveFlips: Rate;
  /** NFR_mc: new wrong and another answer than the old one's. */
  readonly inconsistentFlips: Rate;
  /** P(new right | old right); 1 when the old version had nothing right. */
  readonly backwardTrust: number;
  /** The same with its interval, which is 0 to 1 when the old version had nothing right. */
  readonly keptRight: Rate;
  readonly mcnemarP: number;
  readonly mcnemarMidP: number;
  /** McNemar’s p-value among all slices (Holm); of all items that itself. */
  readonly mcnemarPHolm: number;
  /** Of this slice alone; a slice is incompatible by its p-value among all slices. */
  readonly verdict: Verdict;
}

/** Flips from which a bootstrap of them means something. */
const FLIPS_TO_DRAW_FROM = 10;
/** Half of what a 95 % interval leaves outside. */
export const ONE_SIDED_LEVEL = 0.025;

/** The figures of counts. @throws RangeError without items */
export function figuresOf(slice: string, counts: FlipCounts, budget: number): SliceComparison {
  const { n, oldRight, newRight, negative, positive, inconsistent } = counts;
  const flips = wilson(negative, n);
  const kept = oldRight - negative;
  const difference = negative + positive < FLIPS_TO_DRAW_FROM ? scoreDifference : bootstrapAccuracy;
  const mcnemarP = mcnemarExact(negative, positive);
  return {
    slice,
    n,
    oldAccuracy: wilson(oldRight, n),
    newAccuracy: wilson(newRight, n),
    accuracyDifference: difference(negative, positive, n),
    negativeFlips: flips,
    positiveFlips: wilson(positive, n),
    inconsistentFlips: wilson(inconsistent, n),
    backwardTrust: oldRight === 0 ? 1 : kept / oldRight,
    keptRight: oldRight === 0 ? { count: 0, value: 1, low: 0, high: 1 } : wilson(kept, oldRight),
    mcnemarP,
    mcnemarMidP: mcnemarMidP(negative, positive),
    mcnemarPHolm: mcnemarP,
    verdict: judge(flips, budget),
  };
}

/** All of the interval within the budget, all of it above, or neither. */
export function judge(negative: Rate, budget: number): Verdict {
  if (negative.high <= budget) return 'compatible';
  return negative.low > budget ? 'incompatible' : 'inconclusive';
}

/** Chance of as many negative flips or more if their rate were the budget: small where it is above. */
export function overBudgetP({ negativeFlips: { count }, n }: SliceComparison, budget: number): number {
  return binomialTail(count, n, budget);
}
