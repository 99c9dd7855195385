import { MEASURES, type GateDocument, type GateRule, type Measure } from '@thalamus/compatibility';
import type { releaseV1 } from '@thalamus/contracts';
import { ThalamusError, type FieldViolation } from '@thalamus/errors';
import type { LiveData } from './gate-tests.js';

/** Fields of a request that say what a rule may say, with the rule: of all items, where it is of items. */
const SAID_BY_RULES = [
  { field: 'negativeFlipBudget', wire: 'negative_flip_budget', measure: 'nfr', data: 'offline' },
  { field: 'disagreementLimit', wire: 'disagreement_limit', measure: 'disagreement', data: 'shadow' },
  { field: 'errorLimit', wire: 'error_limit', measure: 'errorRate', data: 'shadow' },
] as const;

/** Where the measures of each kind of evidence come from; people may be asked for beside each. */
const SOURCES: Readonly<Record<string, readonly (typeof MEASURES)[Measure]['from'][]>> = {
  contract: ['contract'],
  offline: ['share', 'comparison'],
  shadow: ['figure'],
  canary: ['figure'],
  probes: ['figure'],
  approvals: [],
};

/** What is measured of live traffic. All but memory is watched by an always-valid test. */
const MEASURED: Readonly<Record<LiveData, readonly Measure[]>> = {
  shadow: ['errorRate', 'disagreement', 'slower', 'slowTail', 'memoryRatio'],
  canary: ['errorRate', 'slower', 'slowTail', 'worse', 'memoryRatio'],
  probes: ['flips'],
};

/** What of a release says whether a gate can judge it. */
export interface GateSubject {
  /** Prediction files are given, or an override does without them. */
  readonly isCompared: boolean;
  readonly isMirrored: boolean;
  /** Labelled probes; 0 without any. */
  readonly probes: number;
  /** True when each of both versions runs in a process of its own, so that its resident memory is known. */
  readonly hasOwnProcess: boolean;
}

/**
 * The request with the limits that rules of the gate set.
 * @throws REQUEST_INVALID that names each field that says what a rule says
 */
export function withLimitsOf(gate: GateDocument, request: releaseV1.StartRequest): releaseV1.StartRequest {
  const limits = SAID_BY_RULES.flatMap((said) => {
    const rule = gate.rules.find(
      ({ measure, data, slice }) => measure === said.measure && data === said.data && slice === 'all',
    );
    return rule ? [{ ...said, rule }] : [];
  });
  const violations = limits
    .filter(({ field }) => request[field] !== 0)
    .map(({ wire, rule }) => ({
      field: wire,
      description: `the rule ${rule.name} of the gate ${gate.name} says it (${rule.threshold}); leave one of them out`,
    }));
  if (violations.length > 0) throw refused(gate, violations);
  return { ...request, ...Object.fromEntries(limits.map(({ field, rule }) => [field, rule.threshold])) };
}

/** @throws REQUEST_INVALID that names every rule whose evidence this release will not have */
export function needGateFits(gate: GateDocument, subject: GateSubject): void {
  const violations = gate.rules.flatMap((rule, at) => {
    const description = faultOf(rule, gate, subject);
    return description === undefined
      ? []
      : [{ field: `gate.rules.${at}`, description: `the rule ${rule.name} ${description}` }];
  });
  if (violations.length > 0) throw refused(gate, violations);
}

function faultOf(rule: GateRule, gate: GateDocument, subject: GateSubject): string | undefined {
  const { measure, data, minimumSamples } = rule;
  const { from } = MEASURES[measure];
  const sources = SOURCES[data];
  if (!sources) return `is about ${data}; releases look at ${Object.keys(SOURCES).join(', ')}`;
  if (data === 'shadow' && !subject.isMirrored)
    return 'is about shadow, and nothing is mirrored (mirror_share is 0)';
  if (data === 'probes' && subject.probes < Math.max(1, minimumSamples))
    return `is about probes, of which it needs ${Math.max(1, minimumSamples)}; ${subject.probes} are given`;
  if (from === 'approvals') return undefined;
  if (data === 'shadow' || data === 'canary' || data === 'probes')
    return liveFault(rule, gate, MEASURED[data], subject);
  if (!sources.includes(from)) return `asks for ${measure} of ${data}, which no release measures`;
  return data === 'offline' && !subject.isCompared
    ? 'is about offline, and no prediction files are given (old_digest and new_digest)'
    : undefined;
}

function liveFault(
  { name, measure, data, threshold }: GateRule,
  { rules }: GateDocument,
  measured: readonly Measure[],
  { hasOwnProcess }: GateSubject,
): string | undefined {
  if (!measured.includes(measure))
    return `asks for ${measure} of ${data}, which no release measures; there are ${measured.join(', ')}`;
  const first = rules.find((rule) => rule.measure === measure && rule.data === data);
  if (first && first.name !== name) return `is about ${measure} of ${data}, as ${first.name} is; keep one`;
  if (measure === 'memoryRatio')
    return hasOwnProcess
      ? undefined
      : 'asks for memoryRatio, which is known of versions that run in a process of their own: whole graphs';
  return threshold > 0 && threshold < 1
    ? undefined
    : `has a threshold of ${threshold}; live traffic is tested against shares above 0 and below 1`;
}

function refused({ name }: GateDocument, violations: FieldViolation[]): ThalamusError {
  const list = violations.map(({ field, description }) => `${field}: ${description}`).join('; ');
  return new ThalamusError('REQUEST_INVALID', `The gate ${name} cannot judge this release: ${list}.`, {
    violations,
  });
}
