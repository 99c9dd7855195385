import type { RankedExpert } from '../../api/types.js';

/** A weight for each cost that the page has an opinion on. */
export type Weights = Readonly<Record<string, number>>;

/** An expert under weights of the page's own. */
export interface WeighedExpert extends RankedExpert {
  /** Sum of weight x cost, in the loss unit. */
  readonly costTotal: number;
}

/** A cost that a decision knows. */
export interface CostKind {
  readonly name: string;
  /** Whether experts differ in it at all: only then can a weight change anything. */
  readonly differs: boolean;
}

/** Weights that the decision was made with: those of the tenant's policy, when the request names none. */
export function weightsOf(ranked: readonly RankedExpert[]): Weights {
  return Object.fromEntries(
    ranked.flatMap(({ costs }) => costs.map(({ name, weight }) => [name, weight] as const)),
  );
}

/** The same decision under other weights: argmin of predicted loss + correction + sum of weight x cost; ties go to the smaller name. */
export function weigh(ranked: readonly RankedExpert[], weights: Weights): WeighedExpert[] {
  return ranked
    .map((item) => {
      const costs = item.costs.map((cost) => ({ ...cost, weight: weights[cost.name] ?? 0 }));
      const costTotal = costs.reduce((sum, { value, weight }) => sum + value * weight, 0);
      return { ...item, costs, costTotal, total: item.predictedLoss + item.correction + costTotal };
    })
    .sort((a, b) => a.total - b.total || (a.expert < b.expert ? -1 : 1));
}

/** Names of the costs that a decision knows; those in which experts differ first. */
export function costKinds(ranked: readonly RankedExpert[]): CostKind[] {
  const values = new Map<string, Set<number>>();
  for (const { costs } of ranked)
    for (const { name, value } of costs) values.set(name, (values.get(name) ?? new Set()).add(value));
  return [...values]
    .map(([name, set]) => ({ name, differs: set.size > 1 }))
    .sort((a, b) => Number(b.differs) - Number(a.differs) || (a.name < b.name ? -1 : 1));
}

/** What differs from the weights that hold anyway, as flags that any client can send. */
export function flagText(weights: Weights, given: Weights = {}): string {
  return Object.entries(weights)
    .filter(([name, weight]) => weight !== (given[name] ?? 0))
    .map(([name, weight]) => `${name}=${weight}`)
    .join(',');
}

/** An expert in the plane of cost and predicted loss. */
export interface CostPoint {
  readonly expert: string;
  /** Mean cost, 0 to 1, weighed as the total weighs it; without weights all costs count the same. */
  readonly cost: number;
  readonly loss: number;
  /** Whether no other expert is at least as good in both and better in one. */
  readonly isOnFront: boolean;
}

/** Experts as points, and the slope of lines of equal total: loss + slope x cost. */
export function costPlane(experts: readonly WeighedExpert[]): {
  readonly points: readonly CostPoint[];
  readonly slope: number;
} {
  const differing = new Set(
    costKinds(experts)
      .filter(({ differs }) => differs)
      .map(({ name }) => name),
  );
  const [first] = experts;
  const slope = first
    ? first.costs.reduce((sum, { name, weight }) => sum + (differing.has(name) ? weight : 0), 0)
    : 0;
  const costOf = ({ costs }: WeighedExpert) => {
    const counted = costs.filter(({ name }) => differing.has(name));
    if (slope === 0) return counted.reduce((sum, { value }) => sum + value, 0) / Math.max(1, counted.length);
    return counted.reduce((sum, { value, weight }) => sum + value * weight, 0) / slope;
  };
  const bare = experts.map((item) => ({
    expert: item.expert,
    cost: costOf(item),
    loss: item.predictedLoss + item.correction,
  }));
  const points = bare.map((point) => ({
    ...point,
    isOnFront: !bare.some(
      (other) =>
        other.cost <= point.cost &&
        other.loss <= point.loss &&
        (other.cost < point.cost || other.loss < point.loss),
    ),
  }));
  return { points, slope };
}
