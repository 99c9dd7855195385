import { create } from '@bufbuild/protobuf';
import {
  evaluateGate,
  settleByApprovals,
  type Finding,
  type GateDocument,
  type GateEvidence,
  type GateRule,
  type GateStatus,
} from '@thalamus/compatibility';
import { releaseV1 } from '@thalamus/contracts';
import { isLive } from './release-states.js';

const { ReleaseState, RuleStatus, Verdict } = releaseV1;
const MAX_SENTENCE = 500;
const MAX_STOPPED = 2_000;

const STATUS: Readonly<Record<GateStatus, releaseV1.RuleStatus>> = {
  passed: RuleStatus.PASSED,
  failed: RuleStatus.FAILED,
  inconclusive: RuleStatus.INCONCLUSIVE,
};
const NAMES = new Map(Object.entries(STATUS).map(([name, status]) => [status, name as GateStatus]));

/** When rules are due: before the candidate gets any traffic, before SHADOW ends, before CANARY does. */
export type RuleStage = 'first' | 'shadow' | 'canary';

/** Rules as they are shown, and as they are kept until more is known. */
export interface Standings {
  readonly shown: releaseV1.RuleStanding[];
  /** Those that are inconclusive without what approvals come to. */
  readonly kept: releaseV1.RuleStanding[];
}

/** Stage that a rule is due in. */
export function stageOfRule({ data }: Pick<GateRule, 'data'>): RuleStage {
  // SHADOW is where probes begin, and they are watched to the end.
  if (data === 'probes') return 'shadow';
  return data === 'shadow' || data === 'canary' ? data : 'first';
}

/** Stage of a live release; undefined once it has ended. */
export function stageOf(state: releaseV1.ReleaseState): RuleStage | undefined {
  if (!isLive(state)) return undefined;
  if (state === ReleaseState.SHADOW) return 'shadow';
  return state === ReleaseState.CANARY ? 'canary' : 'first';
}

/** What each rule says of evidence that is there before the release begins; the others are pending. Nobody has approved yet. */
export function firstStandings(gate: GateDocument, evidence: GateEvidence): releaseV1.RuleStanding[] {
  return gate.rules.map((rule) =>
    stageOfRule(rule) === 'first' ? standingOf(rule, evaluated(gate, rule, evidence)) : pending(rule),
  );
}

/**
 * How the rules of a release stand now.
 * @param figures what live traffic says by shadow, canary and probes; undefined while it is not known: rules then stand as they were kept
 */
export function standingsOf(
  gate: GateDocument,
  { state, gate: kept }: releaseV1.Release,
  figures: GateEvidence['figures'],
): Standings {
  const stage = stageOf(state);
  const each = gate.rules.map((rule) => {
    const before = kept?.rules.find((own) => own.rule === rule.name) ?? pending(rule);
    const own = stageOfRule(rule);
    const people = approvers(kept, own);
    const isDue = stage !== undefined && (own === stage || (own === 'shadow' && stage === 'canary'));
    if (!isDue) return { shown: before, kept: before };
    const raw = isKept(rule) || (!figures && rule.measure !== 'approvals') ? before : now(rule, people);
    const settled = settledBy(rule, raw, people);
    return { shown: settled, kept: settled.status === RuleStatus.PASSED ? settled : raw };
  });
  return { shown: each.map((own) => own.shown), kept: each.map((own) => own.kept) };

  function now(rule: GateRule, approvals: readonly string[]): releaseV1.RuleStanding {
    return standingOf(rule, evaluated(gate, rule, { ...(figures ? { figures } : {}), approvals }));
  }
}

/** Rules of a stage that are not passed: those that failed first. */
export function openRules(
  rules: readonly releaseV1.RuleStanding[],
  stage: RuleStage | undefined,
): { readonly failed: releaseV1.RuleStanding[]; readonly inconclusive: releaseV1.RuleStanding[] } {
  const due = rules.filter((rule) => stageOfRule(rule) === stage);
  return {
    failed: due.filter(({ status }) => status === RuleStatus.FAILED),
    inconclusive: due.filter(({ status }) => status === RuleStatus.INCONCLUSIVE),
  };
}

/** Why a release goes no further before its candidate gets any traffic; empty when it does. */
export function stopOf(
  { gate, comparison }: Pick<releaseV1.Release, 'gate' | 'comparison'>,
  isOverridden: boolean,
): string {
  const rules = (gate?.rules ?? []).filter(({ measure }) => !isOverridden || measure === 'approvals');
  const { failed, inconclusive } = openRules(rules, 'first');
  if (gate && failed.length > 0) return sentenceOf(gate.name, 'failed', failed);
  const isJudged = gate?.rules.some(({ data }) => data === 'offline') ?? false;
  if (comparison?.verdict === Verdict.INCOMPATIBLE && !isJudged && !isOverridden)
    return `Incompatible: ${comparison.reason}`;
  return gate && inconclusive.length > 0 ? sentenceOf(gate.name, 'is inconclusive', inconclusive) : '';
}

/** What a gate says by some of its rules. */
export function sentenceOf(gate: string, how: string, rules: readonly releaseV1.RuleStanding[]): string {
  const told = rules.map(({ rule, sentence }) => `${rule}: ${sentence}`).join(' ');
  return `The gate ${gate} ${how}. ${told}`.slice(0, MAX_STOPPED);
}

/** Who has approved in a stage. */
export function approvers(gate: releaseV1.ReleaseGate | undefined, stage: RuleStage): string[] {
  return (gate?.approvals ?? []).filter(({ state }) => stageOf(state) === stage).map(({ by }) => by);
}

/** What was found before the release began does not change; only people can settle it. */
function isKept({ measure, data }: GateRule): boolean {
  return measure !== 'approvals' && (data === 'contract' || data === 'offline');
}

function evaluated(gate: GateDocument, rule: GateRule, evidence: GateEvidence): Finding {
  const alone = { ...gate, rules: [{ ...rule, approvals: 0 }] };
  return evaluateGate(alone, evidence).rules[0] as Finding;
}

function settledBy(
  { approvals }: GateRule,
  standing: releaseV1.RuleStanding,
  people: readonly string[],
): releaseV1.RuleStanding {
  const status = NAMES.get(standing.status);
  if (!status) return standing;
  const settled = settleByApprovals({ status, sentence: standing.sentence }, approvals, people);
  return { ...standing, status: STATUS[settled.status], sentence: settled.sentence };
}

function pending({ name, measure, data, slice, threshold, approvals }: GateRule): releaseV1.RuleStanding {
  return create(releaseV1.RuleStandingSchema, {
    ...{ rule: name, measure, data, slice, threshold, approvals, status: RuleStatus.PENDING },
  });
}

function standingOf(rule: GateRule, { status, sentence, value, low, high, n }: Finding) {
  return create(releaseV1.RuleStandingSchema, {
    ...pending(rule),
    status: STATUS[status],
    sentence: sentence.slice(0, MAX_SENTENCE),
    ...(value === undefined ? {} : { value }),
    ...(low === undefined ? {} : { low }),
    ...(high === undefined ? {} : { high }),
    ...(n === undefined ? {} : { n: BigInt(n) }),
  });
}
