import type { Comparison } from '../compare-pairs.js';
import { wilson } from '../intervals.js';
import { normalQuantile } from '../normal-quantile.js';
import { scoreDifference } from '../statistics/score-difference.js';
import type { GateRule } from './gate-document.js';
import type { GateEvidence, MeasuredFigure } from './gate-evidence.js';
import { MEASURES } from './measures.js';
import { lacking, type Finding } from './rule-result.js';

const shown = (value: number): string => String(Number(value.toPrecision(4)));

/** Judges a figure with its interval, or with the p-value of the monitor that watches it. */
export function judgeFigure(rule: GateRule, figure: MeasuredFigure, level: number): Finding {
  const { measure, threshold, proof, minimumSamples } = rule;
  const isAtMost = MEASURES[measure].good === 'atMost';
  const { value, n, low = value, high = value, pValue } = figure;
  const isGood = (one: number) => (isAtMost ? one <= threshold : one >= threshold);
  const [best, worst] = isAtMost ? [low, high] : [high, low];
  const isHarm = pValue === undefined ? !isGood(best) : pValue <= level;
  const isSafe = pValue === undefined && proof === 'safe' ? isGood(worst) : true;
  const isEnough = n >= minimumSamples;
  const status = isHarm ? 'failed' : isEnough && isSafe ? 'passed' : 'inconclusive';
  const limit = `${isAtMost ? 'at most' : 'at least'} ${shown(threshold)} is asked for`;
  const rests = pValue === undefined ? `${shown(low)} to ${shown(high)}` : `always-valid p ${shown(pValue)}`;
  const few = isEnough || isHarm ? '' : `; ${minimumSamples} are needed`;
  return {
    status,
    value,
    low,
    high,
    n,
    sentence: `${measure} is ${shown(value)} (${rests}; ${n} samples${few}), ${limit}.`,
  };
}

/** Figures of a comparison that are no share of items. */
export function judgeComparison(rule: GateRule, comparison: Comparison, level: number): Finding {
  const { overall, scores } = comparison;
  if (rule.measure === 'accuracyDifference') {
    const z = normalQuantile(1 - level / 2);
    const { mean, low, high } = scoreDifference(
      overall.negativeFlips.count,
      overall.positiveFlips.count,
      overall.n,
      z,
    );
    return judgeFigure(rule, { value: mean, low, high, n: overall.n }, level);
  }
  if (!scores) return lacking(`No item of ${rule.data} has a score in both versions.`);
  const { n, lower, regressionSize } = scores;
  if (rule.measure === 'regressionSize') return judgeFigure(rule, { value: regressionSize, n }, level);
  const share = wilson(Math.round(lower * n), n, normalQuantile(1 - level / 2));
  return judgeFigure(rule, { ...share, n }, level);
}

/** Differences of contracts; breaking ones are settled by an override. */
export function judgeContract(rule: GateRule, contract: NonNullable<GateEvidence['contract']>): Finding {
  const wanted = rule.measure === 'breakingDifferences' ? 'breaking' : 'risky';
  const found = contract.differences.filter(({ severity }) => severity === wanted);
  const isOver = found.length > rule.threshold;
  const isOverridden = isOver && wanted === 'breaking' && contract.override !== undefined;
  const told = found.map(({ sentence }) => sentence).join(' ');
  const fact = found.length === 0 ? `No difference is ${wanted}.` : `${found.length} ${wanted}: ${told}`;
  return {
    status: isOver && !isOverridden ? 'failed' : 'passed',
    value: found.length,
    sentence: isOverridden ? `${fact} Overridden: ${contract.override}` : fact,
  };
}
