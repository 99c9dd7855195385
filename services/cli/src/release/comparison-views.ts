import type { Comparison, SliceComparison } from '@thalamus/compatibility';
import { table } from '../output.js';
import { cell, plain } from '../shown-text.js';

/** Slices that a view shows at most; the JSON answer has all. */
const SHOWN_SLICES = 20;
const HEAD = ['slice', 'n', 'accuracy', 'NFR (95 %)', 'PFR', 'BTC', 'McNemar p', 'verdict'];
const SIGNS = { compatible: '✅', incompatible: '❌', inconclusive: '❔' } as const;

/** A comparison for people at a terminal. */
export function comparisonLines(comparison: Comparison): string[] {
  const { verdict, reason, items, notes } = comparison;
  return [
    `${verdict}: ${reason}`,
    ...notes.map((note) => `note: ${note}`),
    '',
    ...table([HEAD, ...rows(comparison)]),
    ...hidden(comparison),
    '',
    ...facts(comparison),
    ...(items.length === 0 ? [] : ['', 'flipped items:']),
    ...table(
      items.map((item) => [
        item.negative ? '  lost' : '  won',
        plain(item.id),
        `right ${plain(item.label)}`,
        `was ${plain(item.oldPrediction)}`,
        `is ${plain(item.newPrediction)}`,
      ]),
    ),
  ];
}

/** A comparison as Markdown, fit for a comment of a pull request. */
export function comparisonReport(comparison: Comparison, budget: number): string[] {
  const { verdict, reason, items, notes, overall } = comparison;
  const line = (cells: readonly string[]) => `| ${cells.map(cell).join(' | ')} |`;
  return [
    `### ${SIGNS[verdict]} Update is ${verdict}`,
    '',
    `${cell(reason)} Accuracy ${percent(overall.oldAccuracy.value)} → ${percent(overall.newAccuracy.value)}, budget of negative flips ${percent(budget)}.`,
    ...notes.flatMap((note) => ['', `> ${cell(note)}`]),
    '',
    line(HEAD),
    line(HEAD.map(() => '---')),
    ...rows(comparison).map(line),
    ...hidden(comparison),
    '',
    ...facts(comparison).map((fact) => `- ${fact}`),
    ...(items.length === 0 ? [] : ['', `<details><summary>${items.length} flipped items</summary>`, '']),
    ...(items.length === 0
      ? []
      : [
          line(['item', 'flip', 'right', 'before', 'after']),
          line(Array.from({ length: 5 }, () => '---')),
          ...items.map(({ id, negative, label, oldPrediction, newPrediction }) =>
            line([id, negative ? 'lost' : 'won', label, oldPrediction, newPrediction]),
          ),
          '',
          '</details>',
        ]),
  ];
}

/** All items, then slices: those that break first, then the largest. */
function rows({ overall, slices }: Comparison): string[][] {
  const shown = [...slices]
    .sort((a, b) => rank(b) - rank(a) || a.mcnemarPHolm - b.mcnemarPHolm || b.n - a.n)
    .slice(0, SHOWN_SLICES);
  return [overall, ...shown].map((own) => [
    own.slice === '' ? 'all' : plain(own.slice),
    String(own.n),
    `${percent(own.oldAccuracy.value)} → ${percent(own.newAccuracy.value)}`,
    `${percent(own.negativeFlips.value)} (${percent(own.negativeFlips.low)} to ${percent(own.negativeFlips.high)})`,
    percent(own.positiveFlips.value),
    own.backwardTrust.toFixed(3),
    shownP(own.mcnemarPHolm),
    own.verdict,
  ]);
}

function rank({ verdict }: SliceComparison): number {
  return verdict === 'incompatible' ? 1 : 0;
}

function hidden({ slices }: Comparison): string[] {
  return slices.length > SHOWN_SLICES
    ? ['', `${slices.length - SHOWN_SLICES} more slices; --json has them all.`]
    : [];
}

function facts({ overall, power, scores, slices }: Comparison): string[] {
  const { mean, low, high } = overall.accuracyDifference;
  const points = (value: number) => `${value >= 0 ? '+' : ''}${(value * 100).toFixed(2)}`;
  const { itemsNeeded, hasEnough, itemsToDecide } = power;
  return [
    `Accuracy changes by ${points(mean)} points (95 % interval ${points(low)} to ${points(high)}); NFR_mc ${percent(overall.inconsistentFlips.value)}; McNemar mid-p ${shownP(overall.mcnemarMidP)}.`,
    `A change of 2 points needs ${itemsNeeded} items to be seen (80 % power): there are ${hasEnough ? 'enough' : 'too few'}.`,
    ...(itemsToDecide === undefined || itemsToDecide <= overall.n
      ? []
      : [`At this rate of flips, ${itemsToDecide} items would tell it from the budget.`]),
    ...(slices.length > 1 ? ['p-values of slices are corrected for their number (Holm).'] : []),
    ...(scores
      ? [
          `Scores of ${scores.n} items: ${percent(scores.lower)} lower (by ${scores.regressionSize.toFixed(4)} on average), ${percent(scores.higher)} higher (by ${scores.gainSize.toFixed(4)}).`,
        ]
      : []),
  ];
}

const percent = (value: number): string => `${(value * 100).toFixed(2)} %`;
/** Below the smallest double a p-value is 0 in arithmetic alone. */
const shownP = (p: number): string => (p === 0 ? '< 1e-300' : p < 1e-4 ? p.toExponential(1) : p.toFixed(4));
