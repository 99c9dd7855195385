import type { SliceComparison } from '../figures.js';
import type { GateResult } from '../gate/evaluate-gate.js';
import type { ChoiceFigures } from './choice-figures.js';
import type { ChoiceComparison } from './compare-choices.js';
import type { JudgedChoices } from './judge-choices.js';
import { ROUTER_REPORT, type ReportedFigures, type RouterReport } from './router-report.js';

/** What a report says besides figures. */
export type ReportFacts = Pick<
  RouterReport,
  'task' | 'before' | 'after' | 'table' | 'lossUnit' | 'tolerance' | 'gateDigest' | 'approvals' | 'notes'
> & {
  /** Flipped prompts to give at most. */
  readonly items: number;
};

/** A comparison as a report: what `parseRouterReport` reads. */
export function routerReport(
  { items, ...facts }: ReportFacts,
  { overall, slices, flips }: ChoiceComparison,
  { verdict, result }: JudgedChoices,
): RouterReport {
  const { regretBefore, regretAfter } = overall;
  const own = reported(overall, flips.overall);
  return {
    object: ROUTER_REPORT,
    version: 1,
    verdict,
    ...facts,
    gate: writable(result),
    ...own,
    regretBefore: regretBefore.mean,
    regretAfter: regretAfter.mean,
    intervals: { ...own.intervals, regretBefore: ends(regretBefore), regretAfter: ends(regretAfter) },
    slices: slices.map((slice, at) => ({ slice: slice.slice, ...reported(slice, flips.slices[at]!) })),
    flipped: flips.items.slice(0, items).map(({ id, negative, label, oldPrediction, newPrediction }) => ({
      ...{ id, negative, best: label, choiceBefore: oldPrediction, choiceAfter: newPrediction },
    })),
    notes: [...facts.notes, ...flips.notes],
  };
}

function writable({ gate, status, rules, pending }: GateResult): RouterReport['gate'] {
  return { gate, status, rules: rules.map((rule) => ({ ...rule })), pending: [...pending] };
}

function reported(choices: ChoiceFigures, flips: SliceComparison): ReportedFigures {
  const { n, changed, worse, better, lossBefore, lossAfter, lossDifference } = choices;
  const { negativeFlips, positiveFlips, oldAccuracy, newAccuracy, mcnemarPHolm } = flips;
  return {
    n,
    changedChoices: changed.value,
    ...{ lossBefore, lossAfter, lossDifference: lossDifference.mean },
    ...{ worse: worse.value, better: better.value },
    nfr: negativeFlips.value,
    pfr: positiveFlips.value,
    rightBefore: oldAccuracy.value,
    rightAfter: newAccuracy.value,
    mcnemarP: mcnemarPHolm,
    intervals: {
      changedChoices: ends(changed),
      lossDifference: ends(lossDifference),
      worse: ends(worse),
      better: ends(better),
      nfr: ends(negativeFlips),
      pfr: ends(positiveFlips),
      rightBefore: ends(oldAccuracy),
      rightAfter: ends(newAccuracy),
    },
  };
}

function ends({ low, high }: { readonly low: number; readonly high: number }) {
  return { low, high };
}
