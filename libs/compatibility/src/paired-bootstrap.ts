import { createRandom } from '@thalamus/tensor';

/** How often, how sure, and what is drawn together. */
export interface BootstrapOptions {
  readonly seed: number;
  /** Default 2,000. */
  readonly resamples?: number;
  /** Default 0.95. */
  readonly level?: number;
  /** Group of each item, such as its document: groups are drawn whole. Every item is its own when absent. */
  readonly groups?: readonly string[];
}

/** A mean with its interval. */
export interface MeanInterval {
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}

/**
 * Percentile interval of the mean of paired differences, such as new less old score of each item: pairs are drawn together
 * (Efron and Tibshirani 1993, chapter 13). Deterministic for a seed.
 * @throws RangeError without items, and for groups of another number
 */
export function pairedBootstrap(differences: readonly number[], options: BootstrapOptions): MeanInterval {
  const { seed, resamples = 2000, level = 0.95, groups } = options;
  if (differences.length === 0) throw new RangeError('Paired bootstrap: there are no items to draw from.');
  if (groups && groups.length !== differences.length)
    throw new RangeError(`Paired bootstrap: ${differences.length} items have ${groups.length} groups.`);
  const members = groupSums(differences, groups);
  const random = createRandom(seed);
  const means = Float64Array.from({ length: resamples }, () => {
    let [sum, count] = [0, 0];
    for (let drawn = 0; drawn < members.length; drawn++) {
      const own = members[random.below(members.length)]!;
      sum += own.sum;
      count += own.count;
    }
    return sum / count;
  }).sort();
  const at = (share: number) => means[Math.min(resamples - 1, Math.floor(share * resamples))]!;
  return {
    mean: differences.reduce((sum, value) => sum + value, 0) / differences.length,
    low: at((1 - level) / 2),
    high: at((1 + level) / 2),
  };
}

function groupSums(differences: readonly number[], groups: readonly string[] | undefined) {
  if (!groups) return differences.map((sum) => ({ sum, count: 1 }));
  const byGroup = new Map<string, { sum: number; count: number }>();
  differences.forEach((value, at) => {
    const group = byGroup.get(groups[at]!) ?? { sum: 0, count: 0 };
    group.sum += value;
    group.count += 1;
    byGroup.set(groups[at]!, group);
  });
  return [...byGroup.values()];
}
