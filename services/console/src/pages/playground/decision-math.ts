import type { RankedExpert } from '../../api/types.js';

/** An expert under weights of the page's own. */
export interface WeighedExpert extends RankedExpert {
  /** Sum of weight x cost, in the loss unit. */
  readonly costTotal: number;
}

/** The same decision under other weights: argmin of predicted loss + sum of weight x cost; ties go to the smaller name. */
export function weigh(
  ranked: readonly RankedExpert[],
  weights: Readonly<Record<string, number>>,
): WeighedExpert[] {
  return ranked
    .map((item) => {
      const costs = item.costs.map((cost) => ({ ...cost, weight: weights[cost.name] ?? 0 }));
      const costTotal = costs.reduce((sum, { value, weight }) => sum + value * weight, 0);
      return { ...item, costs, costTotal, total: item.predictedLoss + costTotal };
    })
    .sort((a, b) => a.total - b.total || (a.expert < b.expert ? -1 : 1));
}

/** Names of the costs that a decision knows, and whether experts differ in them at all. */
export function costNames(ranked: readonly RankedExpert[]): { name: string; differs: boolean }[] {
  const values = new Map<string, Set<number>>();
  for (const { costs } of ranked)
    for (const { name, value } of costs) values.set(name, (values.get(name) ?? new Set()).add(value));
  return [...values].map(([name, set]) => ({ name, differs: set.size > 1 }));
}

/** A decision as flags that any client can send. */
export function flagText(weights: Readonly<Record<string, number>>): string {
  return Object.entries(weights)
    .filter(([, weight]) => weight > 0)
    .map(([name, weight]) => `${name}=${weight}`)
    .join(',');
}
