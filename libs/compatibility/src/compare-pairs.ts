import {
  figuresOf,
  judge,
  ONE_SIDED_LEVEL,
  overBudgetP,
  type SliceComparison,
  type Verdict,
} from './figures.js';
import type { Rate } from './intervals.js';
import { holm } from './multiplicity.js';
import type { FlippedItem } from './pairs/flip-list.js';
import type { PairCounts } from './pairs/paired-predictions.js';
import { powerOf, type Power } from './power.js';
import type { ScoreChanges } from './score-changes.js';

/** Two versions, item by item. */
export interface Comparison {
  readonly verdict: Verdict;
  readonly overall: SliceComparison;
  /** Largest first. */
  readonly slices: readonly SliceComparison[];
  /** Negative ones first, by id. */
  readonly items: readonly FlippedItem[];
  readonly reason: string;
  /** What is odd and does not change the verdict. */
  readonly notes: readonly string[];
  readonly power: Power;
  /** Absent when no item has a score in both versions. */
  readonly scores?: ScoreChanges;
}

/** Most slices that are told, the largest of them: labels may be as many as items. */
const MAX_SLICES = 10_000;

/**
 * Judges what was counted (MUSCLE, arXiv 2407.09435, section 3): incompatible when all of the interval of the negative flip rate is above
 * the budget, or when that of a slice is, tested among all slices (exact binomial, Holm 1979); compatible when all of the interval
 * of all items is within; inconclusive otherwise.
 */
export function comparePairs(counts: PairCounts, budget: number): Comparison {
  const overall = figuresOf('', counts.all, budget);
  const slices = judgeSlices(counts, budget);
  const broken = slices.filter(({ verdict }) => verdict === 'incompatible');
  const own = judge(overall.negativeFlips, budget);
  const verdict = broken.length > 0 ? 'incompatible' : own;
  return {
    verdict,
    overall,
    slices,
    items: counts.items,
    reason: explain(own, overall, budget) + ofSlices(broken),
    notes: notesOn(counts),
    power: powerOf(overall.n, overall.negativeFlips, overall.positiveFlips, budget),
    ...(counts.scores ? { scores: counts.scores } : {}),
  };
}

function judgeSlices(counts: PairCounts, budget: number): SliceComparison[] {
  const slices = [...counts.slices]
    .sort(([, a], [, b]) => b.n - a.n)
    .slice(0, MAX_SLICES)
    .map(([name, own]) => figuresOf(name, own, budget));
  const overBudget = holm(slices.map((slice) => overBudgetP(slice, budget)));
  const different = holm(slices.map(({ mcnemarP }) => mcnemarP));
  return slices
    .map((slice, at): SliceComparison => {
      const isBroken = overBudget[at]! <= ONE_SIDED_LEVEL;
      const verdict = slice.verdict === 'incompatible' ? 'inconclusive' : slice.verdict;
      return { ...slice, mcnemarPHolm: different[at]!, verdict: isBroken ? 'incompatible' : verdict };
    })
    .sort((a, b) => b.n - a.n || (a.slice < b.slice ? -1 : 1));
}

const percent = (value: number): string => `${(value * 100).toFixed(2)} %`;

function explain(verdict: Verdict, { negativeFlips, n }: SliceComparison, budget: number): string {
  const fact = `${flipsOf(negativeFlips, n)} (${interval(negativeFlips)})`;
  switch (verdict) {
    case 'compatible':
      return `${fact}: all of the interval is within the budget of ${percent(budget)}.`;
    case 'incompatible':
      return `${fact}: all of the interval is above the budget of ${percent(budget)}.`;
    case 'inconclusive':
      return `${fact}: the interval holds the budget of ${percent(budget)}; more items are needed to decide.`;
  }
}

function ofSlices(broken: readonly SliceComparison[]): string {
  if (broken.length === 0) return '';
  const worst = broken.reduce((a, b) => (b.negativeFlips.low > a.negativeFlips.low ? b : a));
  const others = broken.length === 1 ? '' : `, and ${broken.length - 1} more`;
  return ` Above it among all slices: ${worst.slice}, where ${flipsOf(worst.negativeFlips, worst.n)}${others}.`;
}

function flipsOf({ count }: Rate, n: number): string {
  return `${count} of ${n} items flipped from right to wrong`;
}

function interval({ value, low, high }: Rate): string {
  return `${percent(value)}, 95 % interval ${percent(low)} to ${percent(high)}`;
}

function notesOn({ answersAreLabels: { before, after }, labels, all, slices }: PairCounts): string[] {
  const notes: string[] = [];
  if (slices.size > MAX_SLICES)
    notes.push(`There are ${slices.size} slices; the ${MAX_SLICES} largest are judged and told.`);
  if (before !== after)
    notes.push(
      `No answer of the ${after ? 'old' : 'new'} version is the right label of any item, while answers of the ${after ? 'new' : 'old'} one are: its labels seem to have other names.`,
    );
  if (labels === 1 && all.n > 1)
    notes.push('All items have the same right label: nothing is known of others.');
  return notes;
}
