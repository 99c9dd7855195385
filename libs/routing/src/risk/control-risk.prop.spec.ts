import { createRandom, type Random } from '@thalamus/tensor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { applyRule, checkTarget, controlRisk, type RiskChoices, type RiskRows } from './control-risk.js';

const SEED = 20_241_103;
const COSTS = [0.1, 0.4, 1];
const choices: RiskChoices = {
  cheapestFirst: [0, 1, 2],
  costs: COSTS,
  reference: 2,
  margins: [0.2, 0.15, 0.1],
};

/** Prompts of an ease between 0 and 1; the experts' chances of an error, and noisy predictions of them. */
function prompts(random: Random, n: number, errors: (ease: number) => readonly number[]): RiskRows {
  const predicted = new Float32Array(n * 3);
  const measured = new Float32Array(n * 3);
  for (let row = 0; row < n; row++) {
    const ease = random.next();
    errors(ease).forEach((chance, column) => {
      predicted[row * 3 + column] = chance + 0.1 * random.normal();
      measured[row * 3 + column] = random.next() < chance ? 1 : 0;
    });
  }
  return { predicted, measured, candidates: 3, bound: 1 };
}

/** The cheap ones fail at what is hard. */
const unequal = (ease: number) => [0.6 - 0.5 * ease, 0.35 - 0.25 * ease, 0.2 - 0.1 * ease];

/** Rows drawn with replacement: the mean over `all` is then the exact truth for the sample. */
function resample(random: Random, all: RiskRows, n: number): RiskRows {
  const predicted = new Float32Array(n * 3);
  const measured = new Float32Array(n * 3);
  const total = all.measured.length / 3;
  for (let row = 0; row < n; row++) {
    const from = 3 * random.below(total);
    predicted.set(all.predicted.subarray(from, from + 3), row * 3);
    measured.set(all.measured.subarray(from, from + 3), row * 3);
  }
  return { ...all, predicted, measured };
}

function truthOf(rule: Parameters<typeof applyRule>[0], all: RiskRows) {
  let lost = 0;
  let cost = 0;
  const total = all.measured.length / 3;
  for (let from = 0; from < all.measured.length; from += 3) {
    const chosen = applyRule(rule, all.predicted.subarray(from, from + 3), choices);
    lost += (all.measured[from + chosen]! - all.measured[from + 2]!) / total;
    cost += COSTS[chosen]! / total;
  }
  return { lost, cost };
}

/** Upper end of the one-sided 95 % interval of a binomial share (Clopper and Pearson 1934). */
function upperShare(count: number, n: number): number {
  const tail = (p: number) => {
    let term = (1 - p) ** n;
    let sum = term;
    for (let i = 1; i <= count; i++) sum += term *= ((n - i + 1) / i) * (p / (1 - p));
    return sum;
  };
  let low = count / n;
  let high = 1;
  for (let step = 0; step < 50; step++) {
    const middle = (low + high) / 2;
    if (tail(middle) > 0.05) low = middle;
    else high = middle;
  }
  return high;
}

describe('controlRisk', () => {
  const RESPLITS = 200;
  const all = prompts(createRandom(1), 20_000, unequal);
  // Rules come from one grid: the truth of each is counted once.
  const known = new Map<string, ReturnType<typeof truthOf>>();
  const truth = (rule: Parameters<typeof applyRule>[0]) => {
    const key = JSON.stringify(rule);
    const found = known.get(key) ?? truthOf(rule, all);
    known.set(key, found);
    return found;
  };

  it.each([
    [0.04, 0.1, 800],
    [0.05, 0.2, 300],
  ])('breaks alpha %f less often than delta %f, over 200 resplits of %i rows', (alpha, delta, n) => {
    const random = createRandom(2);
    let broken = 0;
    let careless = 0;
    let cost = 0;
    for (let round = 0; round < RESPLITS; round++) {
      const rows = resample(random, all, n);
      const controlled = truth(controlRisk(rows, choices, { alpha, delta }).rule);
      if (controlled.lost > alpha) broken++;
      cost += controlled.cost / RESPLITS;
      // What it is for: to take the rule whose mean on the rows is within alpha breaks it about every other time.
      const naive = Array.from(
        { length: 80 },
        (_, step) => ({ kind: 'within', anchor: 'reference', lambda: step / 20 - 1 }) as const,
      )
        .filter((rule) => truthOf(rule, rows).lost <= alpha)
        .at(-1);
      if (naive && truth(naive).lost > alpha) careless++;
    }
    expect(upperShare(broken, RESPLITS)).toBeLessThanOrEqual(delta + 0.02);
    expect(careless / RESPLITS).toBeGreaterThan(delta + 0.1);
    expect(cost).toBeLessThan(0.9);
  });

  it('takes the cheapest where all do equally well', () => {
    const random = createRandom(3);
    const equal = prompts(random, 2_000, (ease) => [0.5 - 0.4 * ease, 0.5 - 0.4 * ease, 0.5 - 0.4 * ease]);
    const { rule, meanLost, pValue, rows } = controlRisk(equal, choices, { alpha: 0.05, delta: 0.1 });
    expect(truthOf(rule, equal).cost).toBeCloseTo(COSTS[0]!, 6);
    expect(meanLost).toBeLessThan(0.05);
    expect(pValue).toBeLessThanOrEqual(0.1);
    expect(rows).toBe(2_000);
  });

  it('starts from the best predicted expert where the router beats the reference', () => {
    const each = (ease: number) => (ease < 0.5 ? [0.1, 0.6, 0.4] : [0.6, 0.1, 0.4]);
    const rows = prompts(createRandom(8), 2_000, each);
    const { rule, meanLost, meanCost } = controlRisk(rows, choices, { alpha: 0, delta: 0.1 });
    expect(rule).toMatchObject({ kind: 'within', anchor: 'best' });
    expect(meanLost).toBeLessThan(0);
    expect(meanCost).toBeLessThan(0.3);
  });

  it('stays with the reference where nothing can be shown', () => {
    const few = prompts(createRandom(4), 5, unequal);
    expect(controlRisk(few, choices, { alpha: 0.01, delta: 0.05 })).toEqual({
      rule: { kind: 'reference' },
      pValue: 0,
      meanLost: 0,
      meanCost: 1,
      rows: 5,
    });
    expect(applyRule({ kind: 'reference' }, [0, 0, 9], choices)).toBe(2);
  });

  it('saves more when more may be lost, or when it need be less sure', () => {
    const rows = prompts(createRandom(5), 1_500, unequal);
    const costs = (alpha: number, delta: number) =>
      truthOf(controlRisk(rows, choices, { alpha, delta }).rule, all).cost;
    const byAlpha = [0.01, 0.03, 0.06, 0.15, 0.5].map((alpha) => costs(alpha, 0.1));
    byAlpha.forEach((cost, at) => expect(at === 0 || cost <= byAlpha[at - 1]!).toBe(true));
    expect(byAlpha.at(-1)).toBeCloseTo(COSTS[0]!, 6);
    expect(byAlpha[0]! - byAlpha.at(-1)!).toBeGreaterThan(0.2);
    expect(costs(0.03, 0.5)).toBeLessThanOrEqual(costs(0.03, 0.01));
  });

  it('counts only rows with a result of every choice, and looks at no other column', () => {
    const rows = prompts(createRandom(6), 400, unequal);
    const measured = rows.measured.slice();
    for (let row = 0; row < 100; row++) measured[row * 3] = NaN;
    const two: RiskChoices = { ...choices, cheapestFirst: [1, 2] };
    const target = { alpha: 0.2, delta: 0.1 };
    expect(controlRisk({ ...rows, measured }, choices, target).rows).toBe(300);
    expect(controlRisk({ ...rows, measured }, two, target)).toEqual(controlRisk(rows, two, target));
  });
});

describe('a rule', () => {
  const losses = fc.array(fc.double({ min: 0, max: 2, noNaN: true }), { minLength: 3, maxLength: 3 });
  const lambda = fc.double({ min: -1, max: 3, noNaN: true });

  it('chooses nothing dearer when lambda rises, from the reference on', () => {
    fc.assert(
      fc.property(losses, lambda, lambda, (predicted, one, other) => {
        const costAt = (at: number) =>
          COSTS[applyRule({ kind: 'within', anchor: 'reference', lambda: at }, predicted, choices)]!;
        expect(costAt(Math.max(one, other))).toBeLessThanOrEqual(costAt(Math.min(one, other)));
        expect(costAt(-Number.MAX_VALUE)).toBe(1);
        expect(costAt(Number.MAX_VALUE)).toBe(COSTS[0]);
      }),
      { seed: SEED, numRuns: 300 },
    );
  });

  it('chooses the cheapest whose upper loss is within lambda of the least, else the least', () => {
    const rule = { kind: 'within', anchor: 'best', lambda: 0.25 } as const;
    expect(applyRule(rule, [0.34, 0.3, 0.3], choices)).toBe(0);
    expect(applyRule(rule, [0.36, 0.3, 0.3], choices)).toBe(1);
    expect(applyRule(rule, [0.9, 0.8, 0.3], choices)).toBe(2);
    expect(applyRule({ ...rule, anchor: 'reference' }, [0.9, 0.2, 0.3], choices)).toBe(1);
    expect(applyRule({ ...rule, anchor: 'reference' }, [0.9, 0.5, 0.3], choices)).toBe(2);
    expect(applyRule({ kind: 'within', anchor: 'best', lambda: -9 }, [0.9, 0.2, 0.3], choices)).toBe(1);
  });
});

it.each([
  [-0.1, 0.1, 'risk.alpha'],
  [NaN, 0.1, 'risk.alpha'],
  [Infinity, 0.1, 'risk.alpha'],
  [0.1, 0, 'risk.delta'],
  [0.1, 1, 'risk.delta'],
  [0.1, NaN, 'risk.delta'],
])('a target of alpha %f and delta %f is refused by its field', (alpha, delta, field) => {
  expect(() => checkTarget({ alpha, delta })).toThrow(
    expect.objectContaining({ code: 'REQUEST_INVALID', violations: [expect.objectContaining({ field })] }),
  );
});
