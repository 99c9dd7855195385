import { ThalamusError } from '@thalamus/errors';
import type { Verdict } from '../figures.js';
import { evaluateGate, type GateResult } from '../gate/evaluate-gate.js';
import type { GateDocument } from '../gate/gate-document.js';
import type { GateStatus } from '../gate/rule-result.js';
import type { ChoiceComparison } from './compare-choices.js';
import { ROUTER_EVIDENCE as ROUTER } from './router-report.js';

const APPROVALS = 'approvals';

const VERDICTS: Readonly<Record<GateStatus, Verdict>> = {
  passed: 'compatible',
  failed: 'incompatible',
  inconclusive: 'inconclusive',
};

/** What a gate says of a router model, and the same as a verdict. */
export interface JudgedChoices {
  readonly verdict: Verdict;
  readonly result: GateResult;
}

/**
 * Judges a comparison by the rules of a gate about `router`: figures `regret` and `changedChoices`, and shares of right choices, of all
 * prompts or by slice. Rules about other evidence are pending. `approvals`: names of who approves.
 * @throws CONFIG_INVALID for a gate without such a rule
 */
export function judgeChoices(
  gate: GateDocument,
  { overall, flips }: ChoiceComparison,
  approvals: readonly string[] = [],
): JudgedChoices {
  if (!gate.rules.some(({ data }) => data === ROUTER))
    throw new ThalamusError(
      'CONFIG_INVALID',
      `The gate ${gate.name} has no rule with data: ${ROUTER}; add one, or start from "thalamus release gate show --kind router".`,
    );
  const { n, lossDifference, changed } = overall;
  const figures = {
    regret: { value: lossDifference.mean, low: lossDifference.low, high: lossDifference.high, n },
    changedChoices: { value: changed.value, low: changed.low, high: changed.high, n },
  };
  const evidence = { comparisons: { [ROUTER]: flips }, figures: { [ROUTER]: figures }, approvals };
  const result = evaluateGate(gate, evidence, [ROUTER, APPROVALS]);
  return { verdict: VERDICTS[result.status], result };
}
