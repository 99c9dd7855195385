import { createRandom } from '@thalamus/tensor';
import { mean } from './routed-choices.js';

/**
 * 95 % percentile bootstrap over groups of rows, such as documents: groups are drawn whole. Of the mean of values, or of a
 * figure of drawn rows. Deterministic for a seed.
 */
export function groupedBootstrap(
  figure: Float64Array | ((rows: readonly number[]) => number),
  groups: readonly string[],
  seed: number,
  resamples = 1000,
): [number, number] {
  const members = new Map<string, number[]>();
  groups.forEach((group, row) => {
    const list = members.get(group);
    if (list) list.push(row);
    else members.set(group, [row]);
  });
  const list = [...members.values()];
  const random = createRandom(seed);
  const values = Float64Array.from({ length: resamples }, () => {
    const rows = list.flatMap(() => list[random.below(list.length)]!);
    return typeof figure === 'function' ? figure(rows) : mean(rows.map((row) => figure[row]!));
  }).sort();
  const at = (share: number) => values[Math.min(resamples - 1, Math.floor(share * resamples))]!;
  return [at(0.025), at(0.975)];
}
