import type { DecisionResult, RankedCandidate } from '../decide.js';
import {
  applyRule,
  bestSingle,
  checkTarget,
  controlRiskSteps,
  type ControlledRisk,
  type RiskChoices,
  type RiskRows,
  type RiskTarget,
} from './control-risk.js';

/** Among whom a bound is held, and what is saved. */
export interface RiskPlan {
  /** Columns that may be chosen, cheapest first. */
  readonly cheapestFirst: readonly number[];
  /** Cost by column, relative to the dearest. */
  readonly costs: Float64Array;
  /** Experts by column; undefined for columns that may not be chosen. */
  readonly experts: readonly (string | undefined)[];
  /** Cost that is saved: `weights` for the weighed sum, the name of a property, or empty when none tells the experts apart. */
  readonly saves: string;
  /** The same for the same experts at the same costs relative to the dearest, to three digits. */
  readonly key: string;
}

/** A rule for a plan, with what it chooses among. */
export interface CertifiedRule extends ControlledRisk, RiskTarget {
  readonly choices: RiskChoices;
}

/** Properties that are saved where nobody weighs anything, the first that tells the experts apart. */
const SAVED = ['cost', 'size', 'latency'] as const;
/** Relative costs are told apart by this much: ages change by the hour, and no plan should. */
const COST_STEPS = 1000;

/** Who may be chosen after the filters, and what each costs. `columns` are those of the measured rows by expert. */
export function riskPlan(ranked: readonly RankedCandidate[], columns: ReadonlyMap<string, number>): RiskPlan {
  const { saves, prices } = savingOf(ranked);
  const dearest = Math.max(...prices);
  const list = ranked.flatMap(({ candidate: { expert } }, at) => {
    const column = columns.get(expert);
    const cost = dearest > 0 ? Math.round((COST_STEPS * prices[at]!) / dearest) / COST_STEPS : 0;
    return column === undefined ? [] : [{ expert, column, cost }];
  });
  list.sort((a, b) => a.cost - b.cost || (a.expert < b.expert ? -1 : 1));
  const costs = new Float64Array(columns.size);
  const experts = new Array<string | undefined>(columns.size).fill(undefined);
  for (const { expert, column, cost } of list) {
    costs[column] = cost;
    experts[column] = expert;
  }
  return {
    cheapestFirst: list.map(({ column }) => column),
    costs,
    experts,
    saves,
    key: list.map(({ column, cost }) => `${column}:${cost}`).join(),
  };
}

/**
 * The cheapest rule of a plan that keeps a bound, in steps (`controlRiskSteps`). The reference is the best single expert of the
 * plan on the rows themselves. No margins: the rows are not asked to hold intervals as well. @throws REQUEST_INVALID
 */
export function* certifySteps(
  rows: RiskRows,
  plan: RiskPlan,
  target: RiskTarget,
): Generator<undefined, CertifiedRule> {
  checkTarget(target, rows.bound);
  const { cheapestFirst, costs } = plan;
  const reference = bestSingle(rows, cheapestFirst);
  const choices = { cheapestFirst, costs, reference, margins: new Float64Array(rows.candidates) };
  yield undefined;
  return { ...(yield* controlRiskSteps(rows, choices, target)), ...target, choices };
}

/** The weighed costs where somebody weighs any, else the first property that all have and that differs. */
function savingOf(ranked: readonly RankedCandidate[]): { readonly saves: string; readonly prices: number[] } {
  const weighed = ranked.map(({ costs }) =>
    costs.reduce((sum, { weight, value }) => sum + weight * value, 0),
  );
  if (weighed.some((price) => price > 0)) return { saves: 'weights', prices: weighed };
  for (const name of SAVED) {
    const values = ranked.map(({ costs }) => costs.find((term) => term.name === name)?.value ?? NaN);
    if (values.some((value) => Number.isNaN(value)) || values.every((value) => value === values[0])) continue;
    return { saves: name, prices: values };
  }
  return { saves: '', prices: ranked.map(() => 0) };
}

/** The decision with the choice of the rule first; the others stay in their order. Whether it abstains stays as it is. */
export function holdRisk(decision: DecisionResult, plan: RiskPlan, certified: CertifiedRule): DecisionResult {
  const predicted = new Float64Array(plan.experts.length).fill(Infinity);
  for (const { candidate, prediction } of decision.ranked) {
    const column = plan.experts.indexOf(candidate.expert);
    if (column >= 0) predicted[column] = prediction.loss;
  }
  const name = plan.experts[applyRule(certified.rule, predicted, certified.choices)];
  const chosen = decision.ranked.find(({ candidate }) => candidate.expert === name);
  if (!chosen) return decision;
  const reference = plan.experts[certified.choices.reference] ?? '';
  return {
    ...decision,
    ranked: [chosen, ...decision.ranked.filter((item) => item !== chosen)],
    reason: decision.abstained ? decision.reason : reasonOf(chosen.candidate.expert, reference, certified),
  };
}

function reasonOf(chosen: string, reference: string, certified: CertifiedRule): string {
  const { rule, alpha, delta, rows } = certified;
  const confidence = Number((1 - delta).toFixed(6));
  if (rule.kind === 'reference')
    return `${chosen} is the best single expert; on ${rows} measured prompts no cheaper rule is shown to lose at most ${alpha} more than it with confidence ${confidence}.`;
  const anchor = rule.anchor === 'best' ? 'the least predicted loss' : `the predicted loss of ${reference}`;
  return `${chosen} is the cheapest expert predicted ${distanceOf(rule.lambda)} ${anchor}; that rule loses at most ${alpha} more than the best single expert, ${reference}, with confidence ${confidence} (${rows} measured prompts).`;
}

function distanceOf(lambda: number): string {
  if (lambda === Number.MAX_VALUE) return 'at any distance from';
  return lambda === -Number.MAX_VALUE ? 'at' : `within ${lambda.toFixed(4)} of`;
}

/** What is said of a bound that a decision keeps. */
export interface HeldRisk extends RiskTarget {
  readonly rule: 'reference' | 'within-reference' | 'within-best';
  /** In the loss unit; 0 for `reference`. */
  readonly threshold: number;
  /** The best single expert of those that may be chosen. */
  readonly reference: string;
  readonly meanLost: number;
  readonly pValue: number;
  readonly rows: number;
  /** Cost that is saved. */
  readonly saves: string;
}

/** Facts of a certified rule. */
export function heldRisk({ experts, saves }: RiskPlan, certified: CertifiedRule): HeldRisk {
  const { rule, alpha, delta, meanLost, pValue, rows, choices } = certified;
  return {
    alpha,
    delta,
    rule: rule.kind === 'reference' ? rule.kind : `within-${rule.anchor}`,
    threshold: rule.kind === 'reference' ? 0 : rule.lambda,
    reference: experts[choices.reference] ?? '',
    meanLost,
    pValue,
    rows,
    saves,
  };
}

/** The stricter of two bounds: the smaller of each number. */
export function stricterTarget(a: RiskTarget | undefined, b: RiskTarget | undefined): RiskTarget | undefined {
  if (!a || !b) return a ?? b;
  return { alpha: Math.min(a.alpha, b.alpha), delta: Math.min(a.delta, b.delta) };
}
