import { ThalamusError } from '@thalamus/errors';
import { bettingPValue } from './p-values.js';

/** Measured prompts that neither the heads nor the intervals were fitted on. */
export interface RiskRows {
  /** Predicted losses, row-major [rows, candidates], as the heads give them. */
  readonly predicted: Float32Array;
  /** Measured losses, the same shape; NaN where there is no result. Rows in an order that the losses did not decide. */
  readonly measured: Float32Array;
  readonly candidates: number;
  /** Differences of losses are cut off at this size, in the loss unit: 1 for errors. */
  readonly bound: number;
}

/** Who may be chosen, and what each costs. */
export interface RiskChoices {
  /** Columns of the rows that may be chosen, cheapest first. */
  readonly cheapestFirst: readonly number[];
  /** By column: cost in any one unit; only of what may be chosen. */
  readonly costs: ArrayLike<number>;
  /** Column of the best single expert among them: fixed without looking at the rows, or `bestSingle` of them. */
  readonly reference: number;
  /** By column: what is added to a predicted loss for its upper end. */
  readonly margins: ArrayLike<number>;
}

/** Quality that may be lost, and how sure that is. */
export interface RiskTarget {
  /** Largest mean loss beyond the reference's, in the loss unit. 0 or more. */
  readonly alpha: number;
  /** Probability with which the bound may fail, over draws of the rows. Between 0 and 1. */
  readonly delta: number;
}

/**
 * A rule of choice. `reference`: always the best single expert. `within`: the cheapest expert whose upper loss is at most
 * lambda above the predicted loss of the anchor: of the reference, or of the expert for which it is least. Where there is
 * none, the anchor itself.
 */
export type RiskRule =
  | { readonly kind: 'reference' }
  | { readonly kind: 'within'; readonly anchor: RiskAnchor; readonly lambda: number };
/** What `within` compares with. */
export type RiskAnchor = 'reference' | 'best';

/** A rule that keeps a bound, and what shows that it does. */
export interface ControlledRisk {
  readonly rule: RiskRule;
  /** p-value of "the rule loses more than alpha"; 0 for the reference, which cannot lose anything. */
  readonly pValue: number;
  /** Mean loss beyond the reference's on the rows, cut off at the bound. */
  readonly meanLost: number;
  /** Mean cost of the rule's choices on the rows. */
  readonly meanCost: number;
  /** Rows that were counted: those with a result of every choice. */
  readonly rows: number;
}

/** Rules of one anchor between the most careful and the cheapest one. */
const STEPS = 64;
const ANCHORS: readonly RiskAnchor[] = ['reference', 'best'];

/**
 * The cheapest rule whose mean loss beyond the best single expert's is at most alpha, with confidence 1 - delta, for prompts
 * like the rows (Learn then Test: Angelopoulos, Bates, Candès, Jordan and Lei 2021). The rules of one anchor are tested in an
 * order that is fixed beforehand, the most careful first, each at the full level of the anchor, and the first that cannot be
 * shown to keep the bound ends it (fixed-sequence testing): the chance that any rule before it breaks the bound is at most
 * that level. Each of the two anchors has half of delta (Bonferroni). A router that beats the reference saves most from the
 * best, a poor one from the reference. Where nothing can be shown, the reference itself is the rule. O(steps x rows x
 * choices). REQUEST_INVALID for a target that is none.
 */
export function controlRisk(rows: RiskRows, choices: RiskChoices, target: RiskTarget): ControlledRisk {
  const steps = controlRiskSteps(rows, choices, target);
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}

/** The same in steps of one rule each, for callers that have other work to do between them. */
export function* controlRiskSteps(
  rows: RiskRows,
  choices: RiskChoices,
  target: RiskTarget,
): Generator<undefined, ControlledRisk> {
  checkTarget(target);
  const trial: Trial = { rows, choices, kept: usableRows(rows, choices.cheapestFirst) };
  let cheapest: ControlledRisk = {
    rule: { kind: 'reference' },
    pValue: 0,
    meanLost: 0,
    meanCost: choices.costs[choices.reference]!,
    rows: trial.kept.length,
  };
  const level = target.delta / ANCHORS.length;
  for (const anchor of ANCHORS) {
    for (const lambda of lambdaGrid(choices, rows.bound)) {
      const tested = testRule({ kind: 'within', anchor, lambda }, trial, { ...target, delta: level });
      if (!(tested.pValue <= level)) break;
      if (isBetter(tested, cheapest)) cheapest = tested;
      yield undefined;
    }
  }
  return cheapest;
}

/** Cheaper, or of two that cost the same the one that loses less: all that are compared keep the bound. */
function isBetter(a: ControlledRisk, b: ControlledRisk): boolean {
  return a.meanCost < b.meanCost || (a.meanCost === b.meanCost && a.meanLost < b.meanLost);
}

/**
 * Column with the least mean measured loss over the rows that have a result of every column, the first of equals; where there
 * is no such row, over the rows that each has. As a reference it may come from the rows that rules are tested on: against the
 * least of the means every rule seems to lose more than against any other, the truly best one included, never less.
 */
export function bestSingle(rows: RiskRows, columns: readonly number[]): number {
  const { measured, candidates } = rows;
  const kept = usableRows(rows, columns);
  const all = Array.from({ length: measured.length / candidates }, (_, row) => row);
  const meanOf = (column: number) => {
    let sum = 0;
    let n = 0;
    for (const row of kept.length > 0 ? kept : all) {
      const loss = measured[row * candidates + column]!;
      if (Number.isNaN(loss)) continue;
      sum += loss;
      n += 1;
    }
    return n === 0 ? Infinity : sum / n;
  };
  let best = columns[0] ?? 0;
  let least = Infinity;
  for (const column of columns) {
    const own = meanOf(column);
    if (own < least) [best, least] = [column, own];
  }
  return best;
}

interface Trial {
  readonly rows: RiskRows;
  readonly choices: RiskChoices;
  readonly kept: readonly number[];
}

function testRule(rule: RiskRule, trial: Trial, { alpha, delta }: RiskTarget): ControlledRisk {
  const { rows, choices, kept } = trial;
  const { bound, candidates } = rows;
  let sum = 0;
  let cost = 0;
  const values = Float64Array.from(kept, (row) => {
    const from = row * candidates;
    const chosen = applyRule(rule, rows.predicted, choices, from);
    const beyond = rows.measured[from + chosen]! - rows.measured[from + choices.reference]!;
    const lost = Math.min(bound, Math.max(-bound, beyond));
    sum += lost;
    cost += choices.costs[chosen]!;
    return lost;
  });
  return {
    rule,
    pValue: bettingPValue({ values, low: -bound, high: bound, alpha }, delta),
    meanLost: kept.length === 0 ? 0 : sum / kept.length,
    meanCost: kept.length === 0 ? Infinity : cost / kept.length,
    rows: kept.length,
  };
}

/** Column that a rule chooses for one prompt, whose predicted losses [candidates] stand in `predicted` from `from` on. */
export function applyRule(
  rule: RiskRule,
  predicted: ArrayLike<number>,
  choices: RiskChoices,
  from = 0,
): number {
  const { cheapestFirst, margins, reference } = choices;
  if (rule.kind === 'reference') return reference;
  let anchor = reference;
  if (rule.anchor === 'best')
    for (const column of cheapestFirst)
      if (predicted[from + column]! < predicted[from + anchor]!) anchor = column;
  const limit = predicted[from + anchor]! + rule.lambda;
  for (const column of cheapestFirst)
    if (predicted[from + column]! + margins[column]! <= limit) return column;
  return anchor;
}

/**
 * From a rule that always takes the anchor to one that takes the cheapest; fixed by margins and bound alone. Predictions may
 * be further apart than the bound, hence the two ends.
 */
function lambdaGrid({ cheapestFirst, margins }: RiskChoices, bound: number): number[] {
  const own = cheapestFirst.map((column) => margins[column]!);
  const from = Math.min(...own) - bound;
  const to = Math.max(...own) + bound;
  const between = Array.from({ length: STEPS }, (_, step) => from + ((to - from) * (step + 0.5)) / STEPS);
  return [-Number.MAX_VALUE, ...between, Number.MAX_VALUE];
}

function usableRows({ predicted, measured, candidates }: RiskRows, columns: readonly number[]): number[] {
  const kept: number[] = [];
  for (let row = 0; row * candidates < measured.length; row++) {
    const known = (column: number) =>
      Number.isFinite(measured[row * candidates + column]) &&
      Number.isFinite(predicted[row * candidates + column]);
    if (columns.every(known)) kept.push(row);
  }
  return kept;
}

/** @throws REQUEST_INVALID that names the field; `bound` is the largest loss beyond another that there can be */
export function checkTarget({ alpha, delta }: RiskTarget, bound = Infinity): void {
  const fail = (field: string, reason: string) =>
    new ThalamusError('REQUEST_INVALID', `${field} ${reason}.`, {
      violations: [{ field, description: reason }],
    });
  if (!(alpha >= 0 && Number.isFinite(alpha)))
    throw fail('risk.alpha', `is ${alpha}; give a loss of 0 or more, in the loss unit of the router model`);
  if (alpha >= bound)
    throw fail(
      'risk.alpha',
      `is ${alpha}, and no expert can lose ${bound} or more beyond another; give less`,
    );
  if (!(delta > 0 && delta < 1)) throw fail('risk.delta', `is ${delta}; give a probability between 0 and 1`);
}
