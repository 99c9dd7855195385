import type { Comparison, SliceComparison } from '@thalamus/compatibility';

/** Ends of a 95 % interval. */
export interface Ends {
  readonly low: number;
  readonly high: number;
}

/** Figures of all items, or of a slice, as `release compare --json` names them. */
export interface FiguresAnswer {
  readonly n: number;
  readonly accuracyBefore: number;
  readonly accuracyAfter: number;
  readonly accuracyDifference: number;
  readonly nfr: number;
  readonly pfr: number;
  readonly nfrMultipleChoice: number;
  readonly btc: number;
  readonly mcnemarP: number;
  readonly mcnemarMidP: number;
  /** By name of figure. */
  readonly intervals: Readonly<Record<string, Ends>>;
  readonly verdict: string;
}

/** The answer of `release compare`. */
export function comparisonAnswer(comparison: Comparison, budget: number) {
  const { overall, slices, items, verdict, reason, notes, power, scores } = comparison;
  return {
    ...figuresAnswer(overall),
    verdict,
    reason,
    notes,
    budget,
    power,
    ...(scores ? { scores } : {}),
    slices: slices.map((slice) => ({
      slice: slice.slice,
      ...figuresAnswer(slice),
      mcnemarPHolm: slice.mcnemarPHolm,
    })),
    flipped: items.map(({ id, negative, label, oldPrediction, newPrediction }) => ({
      id,
      negative,
      label,
      predictionBefore: oldPrediction,
      predictionAfter: newPrediction,
    })),
  };
}

function figuresAnswer(slice: SliceComparison): FiguresAnswer {
  const ends = ({ low, high }: Ends): Ends => ({ low, high });
  return {
    n: slice.n,
    accuracyBefore: slice.oldAccuracy.value,
    accuracyAfter: slice.newAccuracy.value,
    accuracyDifference: slice.accuracyDifference.mean,
    nfr: slice.negativeFlips.value,
    pfr: slice.positiveFlips.value,
    nfrMultipleChoice: slice.inconsistentFlips.value,
    btc: slice.backwardTrust,
    mcnemarP: slice.mcnemarP,
    mcnemarMidP: slice.mcnemarMidP,
    intervals: {
      accuracyBefore: ends(slice.oldAccuracy),
      accuracyAfter: ends(slice.newAccuracy),
      accuracyDifference: ends(slice.accuracyDifference),
      nfr: ends(slice.negativeFlips),
      pfr: ends(slice.positiveFlips),
      nfrMultipleChoice: ends(slice.inconsistentFlips),
      btc: ends(slice.keptRight),
    },
    verdict: slice.verdict,
  };
}
