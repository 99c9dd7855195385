import { applyRule, bestSingle, controlRisk, type RiskRows, type RiskTarget } from '@thalamus/routing';
import { createRandom } from '@thalamus/tensor';

/** Rows that a bound is tried on. */
export interface ResplitTrial {
  /** In any order; rows without a result of every candidate are left out. */
  readonly rows: RiskRows;
  /** Cost of each candidate. */
  readonly costs: ArrayLike<number>;
  readonly target: RiskTarget;
  readonly resplits: number;
  readonly seed: number;
}

/** How a bound was kept over resplits. */
export interface ResplitFigures {
  /** Rows of each half. */
  readonly rows: number;
  /** Resplits whose other half lost more than alpha beyond the best single candidate of all rows. */
  readonly broken: number;
  /** Upper end of the one-sided 95 % interval of their share (Clopper and Pearson 1934). */
  readonly upper: number;
  /** Mean over resplits of what the other half lost. */
  readonly meanLost: number;
  /** Mean cost of the choices, relative to that of the best single candidate. */
  readonly meanCost: number;
}

/**
 * Certifies a rule on one half of the rows, drawn by chance, and sees what it loses on the other, many times. What the other
 * half loses is a sample too: a rule whose true loss is close to alpha breaks it about every other time, so that shares here
 * are larger than those that the bound speaks of.
 */
export function riskResplits({ rows, costs, target, resplits, seed }: ResplitTrial): ResplitFigures {
  const { candidates } = rows;
  const columns = Array.from({ length: candidates }, (_, k) => k);
  const cheapestFirst = columns.toSorted((a, b) => costs[a]! - costs[b]! || a - b);
  const whole = Array.from({ length: rows.measured.length / candidates }, (_, row) => row).filter((row) =>
    columns.every((k) => !Number.isNaN(rows.measured[row * candidates + k]!)),
  );
  const margins = new Float64Array(candidates);
  const truth = bestSingle(rows, columns);
  const random = createRandom(seed);
  const half = Math.floor(whole.length / 2);
  let broken = 0;
  let meanLost = 0;
  let meanCost = 0;
  for (let round = 0; round < resplits; round++) {
    const order = random.shuffle([...whole]);
    const own = rowsAt(rows, order.slice(0, half));
    const choices = { cheapestFirst, costs, margins, reference: bestSingle(own, columns) };
    const { rule } = controlRisk(own, choices, target);
    let lost = 0;
    for (const row of order.slice(half)) {
      const from = row * candidates;
      const chosen = applyRule(rule, rows.predicted, choices, from);
      lost += rows.measured[from + chosen]! - rows.measured[from + truth]!;
      meanCost += costs[chosen]! / costs[truth]! / (whole.length - half) / resplits;
    }
    lost /= whole.length - half;
    meanLost += lost / resplits;
    if (lost > target.alpha) broken += 1;
  }
  return { rows: half, broken, upper: upperShare(broken, resplits), meanLost, meanCost };
}

function rowsAt(rows: RiskRows, order: readonly number[]): RiskRows {
  const { candidates } = rows;
  const pick = (values: Float32Array) => {
    const picked = new Float32Array(order.length * candidates);
    order.forEach((row, at) => {
      picked.set(values.subarray(row * candidates, (row + 1) * candidates), at * candidates);
    });
    return picked;
  };
  return { ...rows, predicted: pick(rows.predicted), measured: pick(rows.measured) };
}

/** Largest share under which so few of n come about with a chance of 5 %. */
export function upperShare(count: number, n: number): number {
  if (count >= n) return 1;
  const tail = (share: number) => {
    let term = (1 - share) ** n;
    let sum = term;
    for (let at = 1; at <= count; at++) sum += term *= ((n - at + 1) / at) * (share / (1 - share));
    return sum;
  };
  let [low, high] = [count / n, 1];
  for (let step = 0; step < 50; step++) {
    const middle = (low + high) / 2;
    if (tail(middle) > 0.05) low = middle;
    else high = middle;
  }
  return high;
}
