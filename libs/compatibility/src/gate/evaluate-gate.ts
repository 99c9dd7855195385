import type { GateDocument, GateRule } from './gate-document.js';
import type { GateEvidence } from './gate-evidence.js';
import { judgeComparison, judgeContract, judgeFigure } from './judge-figures.js';
import { judgeShares } from './judge-shares.js';
import { MEASURES, type FigureName } from './measures.js';
import { lacking, type Finding, type GateStatus, type RuleResult } from './rule-result.js';

/** What a gate says of an update. */
export interface GateResult {
  readonly gate: string;
  readonly status: GateStatus;
  readonly rules: readonly RuleResult[];
  /** Rules that were not looked at, for their evidence comes later. */
  readonly pending: readonly string[];
}

/**
 * Judges an update by the rules of a gate: failed when one failed, inconclusive when one is and none failed, else passed. Rules about evidence
 * that is not among `data` are pending; without `data` all are judged, and what is not known is inconclusive.
 */
export function evaluateGate(
  gate: GateDocument,
  evidence: GateEvidence,
  data?: readonly string[],
): GateResult {
  const isDue = (rule: GateRule) => data === undefined || data.includes(rule.data);
  const rules = gate.rules
    .filter(isDue)
    .map((rule) => evaluateRule(rule, evidence, rule.level ?? gate.level));
  const worst = (['failed', 'inconclusive'] as const).find((status) =>
    rules.some((own) => own.status === status),
  );
  return {
    gate: gate.name,
    status: worst ?? 'passed',
    rules,
    pending: gate.rules.filter((rule) => !isDue(rule)).map(({ name }) => name),
  };
}

function evaluateRule(rule: GateRule, evidence: GateEvidence, level: number): RuleResult {
  const { name, measure, data, slice, threshold } = rule;
  const finding = settleByApprovals(findingOf(rule, evidence, level), rule.approvals, evidence.approvals);
  return { rule: name, measure, data, slice, threshold, ...finding };
}

function findingOf(rule: GateRule, evidence: GateEvidence, level: number): Finding {
  const { measure, data, threshold } = rule;
  const { from } = MEASURES[measure];
  switch (from) {
    case 'approvals': {
      const people = new Set(evidence.approvals).size;
      return {
        status: people >= threshold ? 'passed' : 'inconclusive',
        value: people,
        sentence: `${people} of ${threshold} people have approved.`,
      };
    }
    case 'contract':
      return evidence.contract
        ? judgeContract(rule, evidence.contract)
        : lacking('The contracts have not been compared.');
    case 'figure': {
      const figure = evidence.figures?.[data]?.[measure as FigureName];
      return figure
        ? judgeFigure(rule, figure, level)
        : lacking(`${measure} of ${data} has not been measured.`);
    }
    case 'share':
    case 'comparison': {
      const comparison = evidence.comparisons?.[data];
      if (!comparison) return lacking(`Nothing has been compared on ${data}.`);
      return from === 'share'
        ? judgeShares(rule, comparison, level)
        : judgeComparison(rule, comparison, level);
    }
  }
}

/** What is inconclusive, enough different people let pass: `needed` of them, 0 for a rule that nobody can approve. */
export function settleByApprovals<Own extends Finding>(
  finding: Own,
  needed: number,
  approvals: readonly string[] = [],
): Own {
  if (finding.status !== 'inconclusive' || needed === 0) return finding;
  const people = new Set(approvals).size;
  return people >= needed
    ? { ...finding, status: 'passed', sentence: `${finding.sentence} Approved by ${people}.` }
    : { ...finding, sentence: `${finding.sentence} ${needed - people} more can approve it.` };
}
