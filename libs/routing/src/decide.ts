import type { Candidate, RouteConstraints } from './candidate.js';
import { costOf, type CostScale, type CostTerm } from './costs.js';
import { FILTERS, type Filter } from './filters/filters.js';
import type { FlagName } from './flags.js';

/** What the router model predicts for one candidate. */
export interface Prediction {
  /** Predicted loss in the loss unit of the router model, calibrated. */
  readonly loss: number;
  /** The same as the heads gave it, before calibration. */
  readonly raw: number;
  /** Ends of the conformal interval. */
  readonly low: number;
  readonly high: number;
  /** What outcomes have taught: added to the loss in the total. Default 0. */
  readonly correction?: number;
}

/** A candidate in its place. */
export interface RankedCandidate {
  readonly candidate: Candidate;
  readonly prediction: Prediction;
  /** Every cost that was weighed, and with weight 0 those that are known and were not. */
  readonly costs: readonly CostTerm[];
  /** loss + correction + sum of weight x cost. */
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
  /** As it would have been ranked; undefined without a prediction. */
  readonly asRanked: RankedCandidate | undefined;
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
  /** By expert; who has none, or one that is no number, is rejected by the filter `head`. */
  readonly predictions: ReadonlyMap<string, Prediction>;
  /** Lambda in nats by flag; each has a scale. */
  readonly weights: ReadonlyMap<FlagName, number>;
  readonly scales: Readonly<Record<string, CostScale>>;
  /** Expert of the conversation so far: it stays the first, unless another's total is less by more than the margin. */
  readonly current?: { readonly expert: string; readonly margin: number } | undefined;
  /** Why the prompt is out of scope; undefined when it is not. */
  readonly outOfScope?: string;
  /** Hard filters in the order in which they are asked; the built-in ones when absent. No name twice. */
  readonly filters?: readonly Filter[];
}

/**
 * argmin of predicted loss + sum of lambda x cost over the candidates that pass the filters (Tryage, arXiv 2308.11601).
 * Ties go to the smaller name, so that the same input always gives the same answer.
 */
export function decide(input: DecisionInput): DecisionResult {
  const { filters = FILTERS } = input;
  const kept: RankedCandidate[] = [];
  const rejected: RejectedCandidate[] = [];
  for (const candidate of input.candidates) {
    const prediction = input.predictions.get(candidate.expert);
    const ranked =
      prediction && Number.isFinite(prediction.loss) ? rank(candidate, prediction, input) : undefined;
    const filter =
      filters.find((item) => !item.passes(candidate, input.constraints))?.name ??
      (ranked ? undefined : 'head');
    if (filter !== undefined) rejected.push({ candidate, filter, asRanked: ranked });
    else if (ranked) kept.push(ranked);
  }
  kept.sort((a, b) => a.total - b.total || (a.candidate.expert < b.candidate.expert ? -1 : 1));
  const stays = keepCurrent(kept, input.current);
  const rejections = filters
    .map((filter) => ({
      filter: filter.name,
      count: rejected.filter((item) => item.filter === filter.name).length,
      description: filter.describe(input.constraints),
    }))
    .filter(({ count }) => count > 0);
  const abstained = kept.length === 0 || input.outOfScope !== undefined;
  return {
    ranked: kept,
    rejections,
    rejected,
    abstained,
    reason: stays && input.outOfScope === undefined ? stays : explain(kept, rejections, input.outOfScope),
  };
}

function rank(candidate: Candidate, prediction: Prediction, input: DecisionInput): RankedCandidate {
  const costs: CostTerm[] = [];
  for (const [key, scale] of Object.entries(input.scales)) {
    const name = key as FlagName;
    const weight = input.weights.get(name) ?? 0;
    const raw = candidate.properties[name];
    if (weight > 0 || raw !== undefined) costs.push({ name, value: costOf(raw, scale), weight });
  }
  const price = costs.reduce((sum, term) => sum + term.weight * term.value, 0);
  return { candidate, prediction, costs, total: prediction.loss + (prediction.correction ?? 0) + price };
}

/** Moves the current expert to the front when the margin lets it stay; says so when that changes the first. */
function keepCurrent(ranked: RankedCandidate[], current: DecisionInput['current']): string | undefined {
  const at = ranked.findIndex(({ candidate }) => candidate.expert === current?.expert);
  const [first] = ranked;
  const own = ranked[at];
  if (!current || !first || !own || at === 0 || own.total - first.total > current.margin) return undefined;
  ranked.splice(at, 1);
  ranked.unshift(own);
  return `${own.candidate.expert} has the conversation and keeps it: ${first.candidate.expert} is better by ${(own.total - first.total).toFixed(3)}, within the margin of ${current.margin.toFixed(3)}.`;
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
  const { correction = 0 } = first.prediction;
  const loss = first.prediction.loss.toFixed(3);
  const learned = correction === 0 ? '' : `, corrected by ${correction.toFixed(3)}`;
  const price = first.costs.every(({ weight }) => weight === 0)
    ? ''
    : ` and ${(first.total - first.prediction.loss - correction).toFixed(3)} of costs`;
  const lead = second
    ? `, ${(second.total - first.total).toFixed(3)} ahead of ${second.candidate.expert}`
    : ', the only one that passes the filters';
  return `${first.candidate.expert} has the least total: a predicted loss of ${loss}${learned}${price}${lead}.`;
}
