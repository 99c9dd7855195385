import { create } from '@bufbuild/protobuf';
import type { Comparison, ContractDifference } from '@thalamus/compatibility';
import { releaseV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { firstStandings, sentenceOf, standingsOf, stopOf } from '../../domain/release/gate-standings.js';
import type { GivenGate } from './release-gates.js';

const { RuleStatus, Verdict } = releaseV1;

/** What rules look at before a release begins. */
export interface FirstEvidence {
  readonly differences: readonly ContractDifference[];
  readonly override: string;
  /** Undefined when no prediction files are given. */
  readonly compared: Comparison | undefined;
}

/** The gate of a release that begins. */
export interface BegunGate {
  readonly gate: releaseV1.ReleaseGate;
  /** Why the release goes no further; empty when it does. */
  readonly stopped: (comparison: releaseV1.CompareResponse | undefined) => string;
}

/** Judges by the first rules of the gate of a release that begins. */
export function beginGate(
  { document, digest }: GivenGate,
  { differences, override, compared }: FirstEvidence,
): BegunGate {
  const isOverridden = override !== '';
  const rules = firstStandings(document, {
    ...(compared ? { comparisons: { offline: compared } } : {}),
    contract: { differences, ...(isOverridden ? { override } : {}) },
  });
  const gate = create(releaseV1.ReleaseGateSchema, {
    ...{ name: document.name, digest, rules, overridden: isOverridden },
  });
  const begun = create(releaseV1.ReleaseSchema, { state: releaseV1.ReleaseState.DRAFT, gate });
  const shown = { ...gate, rules: standingsOf(document, begun, undefined).shown };
  return {
    gate,
    stopped: (comparison) => stopOf({ gate: shown, ...(comparison ? { comparison } : {}) }, isOverridden),
  };
}

/** @throws RELEASE_CONFLICT when a rule about the contract failed and nobody overrides it */
export function needContractRules({ name, rules, overridden }: releaseV1.ReleaseGate): void {
  const failed = rules.filter(({ data, status }) => data === 'contract' && status === RuleStatus.FAILED);
  if (failed.length === 0 || overridden) return;
  throw new ThalamusError(
    'RELEASE_CONFLICT',
    `${sentenceOf(name, 'failed', failed)} Give an override_reason to release it all the same.`,
  );
}

/** The comparison with the verdict of the rules about it, where the gate has any: they judge instead of the budget. */
export function judgedByGate(
  comparison: releaseV1.CompareResponse,
  { name, rules }: releaseV1.ReleaseGate,
): releaseV1.CompareResponse {
  const own = rules.filter(({ data, measure }) => data === 'offline' && measure !== 'approvals');
  if (own.length === 0) return comparison;
  const of = (wanted: releaseV1.RuleStatus) => own.filter(({ status }) => status === wanted);
  const [failed, open] = [of(RuleStatus.FAILED), of(RuleStatus.INCONCLUSIVE)];
  if (failed.length > 0)
    return { ...comparison, verdict: Verdict.INCOMPATIBLE, reason: sentenceOf(name, 'failed', failed) };
  if (open.length > 0)
    return {
      ...comparison,
      verdict: Verdict.INCONCLUSIVE,
      reason: sentenceOf(name, 'is inconclusive', open),
    };
  const reason = sentenceOf(name, 'passed offline', own);
  return { ...comparison, verdict: Verdict.COMPATIBLE, reason };
}
