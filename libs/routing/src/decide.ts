import type { Candidate, RouteConstraints } from './candidate.js';
import { costOf, type CostScale, type CostTerm } from './costs.js';
import { FILTERS } from './filters/filters.js';
import type { FlagName } from './flags.js';

/** What the router model predicts for one candidate. */
export interface Prediction {
  /** Predicted loss in the loss unit of the router model. */
  readonly loss: number;
  /** Ends of the conformal interval. */
  readonly low: number;
  readonly high: number;
}

/** A candidate in its place. */
export interface RankedCandidate {
  readonly candidate: Candidate;
  readonly prediction: Prediction;
  readonly costs: readonly CostTerm[];
  /** loss + sum of weight x cost. */
  readonly total: number;
}

/** Candidates that one filter rejected. */
export interface FilterRejection {
  readonly filter: string;
  readonly count: number;
  readonly description: string;
}

/** A candidate that cannot be chosen, and why. */
export interface RejectedCandidate {
  readonly candidate: Candidate;
  readonly filter: string;
}

/** The outcome of a decision. */
export interface DecisionResult {
  /** Best first, all that passed. */
  readonly ranked: readonly RankedCandidate[];
  readonly rejections: readonly FilterRejection[];
  readonly rejected: readonly RejectedCandidate[];
  readonly abstained: boolean;
  /** One sentence. */
  readonly reason: string;
}

/** What a decision rests on. */
export interface DecisionInput {
  readonly candidates: readonly Candidate[];
  readonly constraints: RouteConstraints;
  /** By expert; experts with a head must have one. */
  readonly predictions: ReadonlyMap<string, Prediction>;
  /** Lambda in nats by flag. */
  readonly weights: ReadonlyMap<string, number>;
  readonly scales: Readonly<Record<string, CostScale>>;
  /** Why the prompt is out of scope; undefined when it is not. */
  readonly outOfScope?: string;
}

/**
 * argmin of predicted loss + sum of lambda x cost over the candidates that pass the filters (Tryage, arXiv 2308.11601).
 * Ties go to the smaller name, so that the same input always gives the same answer.
 */
export function decide(input: DecisionInput): DecisionResult {
  const kept: RankedCandidate[] = [];
  const rejected: RejectedCandidate[] = [];
  for (const candidate of input.candidates) {
    const filter = FILTERS.find((item) => !item.passes(candidate, input.constraints));
    if (filter) rejected.push({ candidate, filter: filter.name });
    else kept.push(rank(candidate, input));
  }
  kept.sort((a, b) => a.total - b.total || (a.candidate.expert < b.candidate.expert ? -1 : 1));
  const rejections = FILTERS.map((filter) => ({
    filter: filter.name,
    count: rejected.filter((item) => item.filter === filter.name).length,
    description: filter.describe(input.constraints),
  })).filter(({ count }) => count > 0);
  const abstained = kept.length === 0 || input.outOfScope !== undefined;
  return {
    ranked: kept,
    rejections,
    rejected,
    abstained,
    reason: explain(kept, rejections, input.outOfScope),
  };
}

function rank(candidate: Candidate, input: DecisionInput): RankedCandidate {
  const prediction = input.predictions.get(candidate.expert) ?? {
    loss: Infinity,
    low: Infinity,
    high: Infinity,
  };
  const costs: CostTerm[] = [];
  for (const [name, weight] of input.weights) {
    const scale = input.scales[name];
    if (weight > 0 && scale)
      costs.push({
        name: name as FlagName,
        value: costOf(candidate.properties[name as FlagName], scale),
        weight,
      });
  }
  return {
    candidate,
    prediction,
    costs,
    total: prediction.loss + costs.reduce((sum, term) => sum + term.weight * term.value, 0),
  };
}

function explain(
  ranked: readonly RankedCandidate[],
  rejections: readonly FilterRejection[],
  outOfScope: string | undefined,
): string {
  const [first, second] = ranked;
  if (!first) {
    const list = rejections.map(({ filter, count }) => `${filter} ${count}`).join(', ');
    return `No expert passes the filters (rejected: ${list || 'none registered'}).`;
  }
  if (outOfScope !== undefined) return outOfScope;
  const loss = first.prediction.loss.toFixed(3);
  const price =
    first.costs.length === 0 ? '' : ` and ${(first.total - first.prediction.loss).toFixed(3)} of costs`;
  const lead = second
    ? `, ${(second.total - first.total).toFixed(3)} ahead of ${second.candidate.expert}`
    : ', the only one that passes the filters';
  return `${first.candidate.expert} has the least total: a predicted loss of ${loss}${price}${lead}.`;
}
