import type { SliceComparison } from '../figures.js';
import { wilson, type Rate } from '../intervals.js';
import { holm } from '../multiplicity.js';
import { normalQuantile } from '../normal-quantile.js';
import { binomialTail } from '../statistics/binomial-tail.js';
import type { Comparison } from '../compare-pairs.js';
import type { GateRule } from './gate-document.js';
import { lacking, type Finding } from './rule-result.js';

/** Bad items among those that a measure is of, and the largest share of them. */
interface BadShare {
  readonly slice: SliceComparison;
  readonly count: number;
  readonly n: number;
  readonly limit: number;
}

const percent = (share: number): string => `${(100 * share).toFixed(2)} %`;

/** Judges a share of items of one or more slices. */
export function judgeShares(rule: GateRule, comparison: Comparison, level: number): Finding {
  const slices = slicesOf(rule.slice, comparison);
  if (slices.length === 0) return lacking(`No slice is called ${rule.slice} in ${rule.data}.`);
  const known = slices.map((slice) => badShare(rule, slice)).filter(({ n }) => n > 0);
  const enough = known.filter(({ n }) => n >= rule.minimumSamples);
  // What is shown in few items is shown; only nothing can be shown by them.
  const findings = rule.proof === 'harm' ? harm(known, level) : safety(known, level);
  const failed = findings.filter(({ status }) => status === 'failed');
  const judged = findings.filter(({ share }) => enough.includes(share));
  const worst = failed[0] ?? judged.find(({ status }) => status === 'inconclusive') ?? judged[0];
  if (!worst)
    return lacking(
      `${known[0]?.n ?? 0} items of ${nameOf(slices[0]!)} are too few; ${rule.minimumSamples} are needed.`,
    );
  const unjudged = slices.length - judged.length;
  return {
    status: worst.status,
    ...figureOf(rule, worst.share, level),
    n: worst.share.n,
    sentence: `${describe(rule, worst.share)}${failed.length > 1 ? `, and ${failed.length - 1} more slices` : ''}${unjudged > 0 && failed.length === 0 ? `; ${unjudged} of ${slices.length} slices have too few items` : ''}.`,
  };
}

function slicesOf(name: string, { overall, slices }: Comparison): readonly SliceComparison[] {
  if (name === 'all') return [overall];
  if (name === 'each') return slices;
  if (name.endsWith('*')) return slices.filter(({ slice }) => slice.startsWith(name.slice(0, -1)));
  return slices.filter(({ slice }) => slice === name);
}

function badShare({ measure, threshold }: GateRule, slice: SliceComparison): BadShare {
  const { n, negativeFlips, inconsistentFlips, oldAccuracy, newAccuracy } = slice;
  switch (measure) {
    case 'btc':
      return { slice, count: negativeFlips.count, n: oldAccuracy.count, limit: 1 - threshold };
    case 'accuracyAfter':
      return { slice, count: n - newAccuracy.count, n, limit: 1 - threshold };
    case 'nfrMultipleChoice':
      return { slice, count: inconsistentFlips.count, n, limit: threshold };
    default:
      return { slice, count: negativeFlips.count, n, limit: threshold };
  }
}

interface Judged {
  readonly share: BadShare;
  readonly status: Finding['status'];
}

/** Exact binomial tests of "at most the limit", corrected for their number (Holm); those that fail come first, worst first. */
function harm(shares: readonly BadShare[], level: number): Judged[] {
  const raw = shares.map(({ count, n, limit }) => binomialTail(count, n, limit));
  const p = holm(raw);
  return shares
    .map((share, at) => ({
      share,
      status: p[at]! <= level ? ('failed' as const) : ('passed' as const),
      p: raw[at]!,
    }))
    .sort((a, b) => a.p - b.p);
}

function safety(shares: readonly BadShare[], level: number): Judged[] {
  return shares
    .map((share) => {
      const { low, high } = intervalOf(share, level);
      const status = high <= share.limit ? 'passed' : low > share.limit ? 'failed' : 'inconclusive';
      return { share, status, high } as const;
    })
    .sort((a, b) => b.high - b.share.limit - (a.high - a.share.limit));
}

function intervalOf({ count, n }: BadShare, level: number): Rate {
  return wilson(count, n, normalQuantile(1 - level / 2));
}

/** The figure as the measure has it: bad shares, or what they leave. */
function figureOf(
  { measure }: GateRule,
  share: BadShare,
  level: number,
): Pick<Finding, 'value' | 'low' | 'high'> {
  const { value, low, high } = intervalOf(share, level);
  const isGood = measure === 'btc' || measure === 'accuracyAfter';
  return isGood ? { value: 1 - value, low: 1 - high, high: 1 - low } : { value, low, high };
}

function describe({ measure, threshold }: GateRule, { slice, count, n }: BadShare): string {
  const isGood = measure === 'btc' || measure === 'accuracyAfter';
  const [good, limit] = isGood
    ? [n - count, `at least ${percent(threshold)}`]
    : [count, `at most ${percent(threshold)}`];
  return `${measure} of ${nameOf(slice)} is ${percent(good / n)} (${good} of ${n}), ${limit} is asked for`;
}

function nameOf({ slice }: SliceComparison): string {
  return slice === '' ? 'all items' : slice;
}
