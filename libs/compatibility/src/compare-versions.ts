import { ThalamusError } from '@thalamus/errors';
import { wilson, type Rate } from './intervals.js';
import { mcnemarExact } from './mcnemar.js';
import { quoted, type Prediction } from './predictions.js';

/** Figures of one slice of items. */
export interface SliceComparison {
  /** Name of the slice; empty for all items. */
  readonly slice: string;
  readonly n: number;
  readonly oldAccuracy: Rate;
  readonly newAccuracy: Rate;
  /** NFR: old right, new wrong. */
  readonly negativeFlips: Rate;
  /** PFR: old wrong, new right. */
  readonly positiveFlips: Rate;
  /** NFR_mc: new wrong and another answer than the old one's. */
  readonly inconsistentFlips: Rate;
  /** P(new right | old right); 1 when the old version had nothing right. */
  readonly backwardTrust: number;
  readonly mcnemarP: number;
}

/** Whether an update breaks what worked. */
export type Verdict = 'compatible' | 'incompatible' | 'inconclusive';

/** A flipped item. */
export interface FlippedItem {
  readonly id: string;
  readonly negative: boolean;
  readonly label: string;
  readonly oldPrediction: string;
  readonly newPrediction: string;
}

/** Two versions, item by item. */
export interface Comparison {
  readonly verdict: Verdict;
  readonly overall: SliceComparison;
  /** Largest first. */
  readonly slices: readonly SliceComparison[];
  /** Negative ones first, by id. */
  readonly items: readonly FlippedItem[];
  readonly reason: string;
}

interface Pair {
  readonly before: Prediction;
  readonly after: Prediction;
}

/**
 * Compares two versions on the same items (MUSCLE, arXiv 2407.09435, section 3): flips with 95 % intervals, by slice. The
 * verdict looks at the interval of the negative flip rate: all of it within the budget is compatible, all of it above
 * is incompatible, anything else is inconclusive.
 * @throws DATASET_INVALID when the files hold other items or other right labels.
 */
export function compareVersions(
  before: readonly Prediction[],
  after: readonly Prediction[],
  negativeFlipBudget: number,
): Comparison {
  const pairs = pair(before, after);
  const overall = compareSlice('', pairs);
  const bySlice = new Map<string, Pair[]>();
  for (const item of pairs)
    for (const slice of item.before.slices) {
      const members = bySlice.get(slice);
      if (members) members.push(item);
      else bySlice.set(slice, [item]);
    }
  const slices = [...bySlice]
    .map(([name, members]) => compareSlice(name, members))
    .sort((a, b) => b.n - a.n || (a.slice < b.slice ? -1 : 1));
  const verdict = judge(overall.negativeFlips, negativeFlipBudget);
  return {
    verdict,
    overall,
    slices,
    items: flipped(pairs),
    reason: explain(verdict, overall.negativeFlips, negativeFlipBudget, overall.n),
  };
}

function pair(before: readonly Prediction[], after: readonly Prediction[]): Pair[] {
  const byId = new Map(after.map((row) => [row.id, row]));
  const pairs = before.map((row) => {
    const other = byId.get(row.id);
    if (!other)
      throw new ThalamusError(
        'DATASET_INVALID',
        `The item ${quoted(row.id)} is in the old predictions only; both versions must answer the same items.`,
      );
    if (other.label !== row.label)
      throw new ThalamusError(
        'DATASET_INVALID',
        `The item ${quoted(row.id)} has the right label ${quoted(row.label)} in the old file and ${quoted(other.label)} in the new one; label it alike in both.`,
      );
    byId.delete(row.id);
    return { before: row, after: other };
  });
  const extra = byId.keys().next();
  if (!extra.done)
    throw new ThalamusError(
      'DATASET_INVALID',
      `The item ${quoted(extra.value)} is in the new predictions only; both versions must answer the same items.`,
    );
  return pairs;
}

function compareSlice(slice: string, pairs: readonly Pair[]): SliceComparison {
  let oldRight = 0;
  let newRight = 0;
  let negative = 0;
  let positive = 0;
  let inconsistent = 0;
  for (const { before, after } of pairs) {
    const wasRight = before.prediction === before.label;
    const isRight = after.prediction === after.label;
    if (wasRight) oldRight++;
    if (isRight) newRight++;
    if (wasRight && !isRight) negative++;
    if (!wasRight && isRight) positive++;
    if (!isRight && before.prediction !== after.prediction) inconsistent++;
  }
  const n = pairs.length;
  return {
    slice,
    n,
    oldAccuracy: wilson(oldRight, n),
    newAccuracy: wilson(newRight, n),
    negativeFlips: wilson(negative, n),
    positiveFlips: wilson(positive, n),
    inconsistentFlips: wilson(inconsistent, n),
    backwardTrust: oldRight === 0 ? 1 : 1 - negative / oldRight,
    mcnemarP: mcnemarExact(negative, positive),
  };
}

function judge(negative: Rate, budget: number): Verdict {
  if (negative.high <= budget) return 'compatible';
  return negative.low > budget ? 'incompatible' : 'inconclusive';
}

function explain(verdict: Verdict, rate: Rate, budget: number, n: number): string {
  const percent = (value: number) => `${(value * 100).toFixed(2)} %`;
  const fact = `${rate.count} of ${n} items flipped from right to wrong (${percent(rate.value)}, 95 % interval ${percent(rate.low)} to ${percent(rate.high)})`;
  switch (verdict) {
    case 'compatible':
      return `${fact}: all of the interval is within the budget of ${percent(budget)}.`;
    case 'incompatible':
      return `${fact}: all of the interval is above the budget of ${percent(budget)}.`;
    case 'inconclusive':
      return `${fact}: the interval holds the budget of ${percent(budget)}; more items are needed to decide.`;
  }
}

function flipped(pairs: readonly Pair[]): FlippedItem[] {
  return pairs
    .filter(
      ({ before, after }) => (before.prediction === before.label) !== (after.prediction === after.label),
    )
    .map(({ before, after }) => ({
      id: before.id,
      negative: before.prediction === before.label,
      label: before.label,
      oldPrediction: before.prediction,
      newPrediction: after.prediction,
    }))
    .sort((a, b) => Number(b.negative) - Number(a.negative) || (a.id < b.id ? -1 : 1));
}
