import { createRandom } from '@thalamus/tensor';
import { describe, expect, it } from 'vitest';
import type { Candidate } from '../candidate.js';
import type { DecisionResult, RankedCandidate } from '../decide.js';
import {
  applyRule,
  bestSingle,
  controlRisk,
  type RiskChoices,
  type RiskRows,
  type RiskRule,
} from './control-risk.js';
import { certifySteps, heldRisk, holdRisk, riskPlan, stricterTarget } from './risk-plan.js';

const COLUMNS = new Map([
  ['large', 0],
  ['small', 1],
  ['tiny', 2],
]);

function ranked(
  expert: string,
  loss: number,
  costs: Readonly<Record<string, number>>,
  weights: Readonly<Record<string, number>> = {},
): RankedCandidate {
  const terms = Object.entries(costs).map(([name, value]) => ({
    name: name as 'cost',
    value,
    weight: weights[name] ?? 0,
  }));
  return {
    candidate: { expert } as Candidate,
    prediction: { loss, raw: loss, low: loss, high: loss },
    costs: terms,
    total: loss + terms.reduce((sum, { value, weight }) => sum + value * weight, 0),
  };
}

const decisionOf = (list: readonly RankedCandidate[], abstained = false): DecisionResult => ({
  ranked: list,
  rejections: [],
  rejected: [],
  abstained,
  reason: 'as it was',
});

/** Rows whose losses are these for every prompt. */
function constantRows(n: number, losses: readonly number[]): RiskRows {
  const values = Float32Array.from({ length: n * losses.length }, (_, at) => losses[at % losses.length]!);
  return { predicted: values, measured: values, candidates: losses.length, bound: 1 };
}

function certified(rows: RiskRows, list: readonly RankedCandidate[], alpha: number) {
  const plan = riskPlan(list, COLUMNS);
  const steps = certifySteps(rows, plan, { alpha, delta: 0.1 });
  for (;;) {
    const { done, value } = steps.next();
    if (done) return { plan, rule: value };
  }
}

const PRICED = [
  ranked('large', 0.1, { cost: 1 }),
  ranked('small', 0.15, { cost: 0.2 }),
  ranked('tiny', 0.4, { cost: 0.1 }),
];

describe('riskPlan', () => {
  it('saves what somebody weighs, else the first property that all have and that differs', () => {
    expect(riskPlan(PRICED, COLUMNS)).toMatchObject({ saves: 'cost', cheapestFirst: [2, 1, 0] });
    const weighed = [
      ranked('large', 0.1, { cost: 1, size: 0.1 }, { size: 0.5 }),
      ranked('small', 0.1, { cost: 0, size: 1 }, { size: 0.5 }),
    ];
    expect(riskPlan(weighed, COLUMNS)).toMatchObject({ saves: 'weights', cheapestFirst: [0, 1] });
    const alike = [
      ranked('large', 0.1, { cost: 0, size: 1 }),
      ranked('small', 0.2, { cost: 0, size: 0.5 }),
      ranked('tiny', 0.2, { cost: 0, size: 0.5 }),
    ];
    expect(riskPlan(alike, COLUMNS)).toMatchObject({ saves: 'size', cheapestFirst: [1, 2, 0] });
    const unknown = [ranked('large', 0.1, { cost: 1 }), ranked('small', 0.2, {})];
    expect(riskPlan(unknown, COLUMNS)).toMatchObject({ saves: '', cheapestFirst: [0, 1] });
  });

  it('has one key for the same experts at the same relative costs', () => {
    const keyOf = (list: readonly RankedCandidate[]) => riskPlan(list, COLUMNS).key;
    expect(keyOf([...PRICED].reverse())).toBe(keyOf(PRICED));
    expect(
      keyOf(
        PRICED.map((item) => ({
          ...item,
          costs: item.costs.map((term) => ({ ...term, value: term.value / 2 })),
        })),
      ),
    ).toBe(keyOf(PRICED));
    expect(keyOf(PRICED.slice(0, 2))).not.toBe(keyOf(PRICED));
  });
});

describe('a bound that is held', () => {
  it('moves the choice of the cheapest rule within it to the front, and says by which rule', () => {
    const rows = constantRows(600, [0.1, 0.15, 0.4]);
    const { plan, rule } = certified(rows, PRICED, 0.1);
    const held = holdRisk(decisionOf(PRICED), plan, rule);
    expect(held.ranked.map(({ candidate }) => candidate.expert)).toEqual(['small', 'large', 'tiny']);
    expect(held.reason).toMatch(
      /^small is the cheapest expert predicted within 0\.\d+ of .* loses at most 0\.1 more than the best single expert, large, with confidence 0\.9 \(600 measured prompts\)\.$/,
    );
    const facts = heldRisk(plan, rule);
    expect(facts).toMatchObject({ reference: 'large', alpha: 0.1, delta: 0.1, rows: 600, saves: 'cost' });
    expect(facts.meanLost).toBeCloseTo(0.05, 6);
    expect(facts.pValue).toBeLessThanOrEqual(0.05);
    expect(facts.threshold).toBeGreaterThanOrEqual(0.05);
  });

  it('is the best single expert where nothing cheaper keeps it, and leaves an abstention alone', () => {
    const { plan, rule } = certified(constantRows(600, [0.1, 0.35, 0.4]), PRICED, 0.01);
    const held = holdRisk(decisionOf(PRICED), plan, rule);
    expect(held.ranked[0]!.candidate.expert).toBe('large');
    expect(held.reason).toMatch(/^large is the best single expert; on 600 measured prompts/);
    expect(holdRisk(decisionOf(PRICED, true), plan, rule).reason).toBe('as it was');
  });

  it('is held among those that passed the filters alone', () => {
    const rows = constantRows(600, [0.1, 0.15, 0.4]);
    const { plan, rule } = certified(rows, PRICED.slice(1), 0.1);
    expect(heldRisk(plan, rule).reference).toBe('small');
    expect(holdRisk(decisionOf(PRICED.slice(1)), plan, rule).ranked[0]!.candidate.expert).toBe('small');
  });

  it('refuses a bound that no loss can break', () => {
    expect(() => certified(constantRows(10, [0, 0, 0]), PRICED, 1)).toThrow(/no expert can lose 1 or more/);
  });

  it('of two is the stricter in each number', () => {
    expect(stricterTarget({ alpha: 0.1, delta: 0.05 }, { alpha: 0.02, delta: 0.2 })).toEqual({
      alpha: 0.02,
      delta: 0.05,
    });
    expect(stricterTarget(undefined, { alpha: 0.02, delta: 0.2 })).toEqual({ alpha: 0.02, delta: 0.2 });
    expect(stricterTarget(undefined, undefined)).toBeUndefined();
  });
});

describe('bestSingle', () => {
  it('counts the rows that all have, or those of each where there are none', () => {
    const measured = Float32Array.of(0, 1, NaN, 1, 0.5, 0.5, 1, 0.2, 0.2);
    const rows = { predicted: new Float32Array(9), measured, candidates: 3, bound: 1 };
    expect(bestSingle(rows, [0, 1, 2])).toBe(1);
    expect(bestSingle(rows, [0])).toBe(0);
    const gaps = { ...rows, measured: Float32Array.of(0, NaN, NaN, NaN, 0.5, NaN, NaN, NaN, 0.2) };
    expect(bestSingle(gaps, [0, 1, 2])).toBe(0);
    expect(bestSingle(gaps, [1, 2])).toBe(2);
  });
});

/** Mean loss of a rule beyond that of one expert. */
function lostBy(
  rule: RiskRule,
  choices: RiskChoices,
  { predicted, measured }: RiskRows,
  reference: number,
): number {
  let sum = 0;
  for (let from = 0; from < measured.length; from += 3)
    sum += measured[from + applyRule(rule, predicted, choices, from)]! - measured[from + reference]!;
  return sum / (measured.length / 3);
}

describe('the reference from the rows themselves', () => {
  it('breaks the bound against the truly best single expert less often than delta, over 200 resplits', () => {
    // Three that are nearly as good as one another, so that the rows often mistake which is best.
    const random = createRandom(5);
    const total = 20_000;
    const measured = new Float32Array(3 * total);
    const predicted = new Float32Array(3 * total);
    for (let row = 0; row < total; row++) {
      const ease = random.next();
      [0.3 - 0.2 * ease, 0.31 - 0.21 * ease, 0.36 - 0.25 * ease].forEach((chance, column) => {
        measured[3 * row + column] = random.next() < chance ? 1 : 0;
        predicted[3 * row + column] = chance + 0.05 * random.normal();
      });
    }
    const all = { predicted, measured, candidates: 3, bound: 1 };
    const truth = bestSingle(all, [0, 1, 2]);
    const costs = [1, 0.5, 0.1];
    const [alpha, delta, resplits] = [0.03, 0.1, 200];
    let broken = 0;
    const known = new Map<string, number>();
    for (let round = 0; round < resplits; round++) {
      const order = Array.from({ length: 700 }, () => random.below(total));
      const take = (values: Float32Array) =>
        Float32Array.from(order.flatMap((row) => [...values.subarray(3 * row, 3 * row + 3)]));
      const rows = { ...all, predicted: take(predicted), measured: take(measured) };
      const choices = {
        cheapestFirst: [2, 1, 0],
        costs,
        reference: bestSingle(rows, [0, 1, 2]),
        margins: [0, 0, 0],
      };
      const { rule } = controlRisk(rows, choices, { alpha, delta });
      const key = JSON.stringify([rule, choices.reference]);
      const lost = known.get(key) ?? lostBy(rule, choices, all, truth);
      known.set(key, lost);
      if (lost > alpha) broken += 1;
    }
    // One-sided 95 % interval of a share, normal approximation with a count more.
    const share = (broken + 1) / resplits;
    expect(share + 1.645 * Math.sqrt((share * (1 - share)) / resplits)).toBeLessThanOrEqual(delta + 0.02);
  });
});
