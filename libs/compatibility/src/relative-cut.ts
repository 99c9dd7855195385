import { createRandom } from '@thalamus/tensor';
import type { BootstrapOptions } from './paired-bootstrap.js';

/** By what share the flips of one candidate are fewer than those of another, with its interval. */
export interface RelativeCut {
  /** (before - after) / before: 1 when none is left, 0 for as many, below 0 for more. NaN when there was none before. */
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/**
 * The share of its negative flips that an update loses by a repair, with the percentile interval of the ratio: items are drawn with
 * what both did to them (Efron and Tibshirani 1993, chapter 25), groups of items whole. A resample without a flip before says nothing
 * and is left out. Deterministic for a seed.
 * @throws RangeError without items, and for lists of unlike length
 */
export function relativeCut(
  before: readonly boolean[],
  after: readonly boolean[],
  { seed, resamples = 2000, level = 0.95, groups }: BootstrapOptions,
): RelativeCut {
  const n = before.length;
  if (n === 0 || after.length !== n || (groups && groups.length !== n))
    throw new RangeError(
      `Relative cut: ${n} items before, ${after.length} after${groups ? `, ${groups.length} groups` : ''}; all are of the same items, at least one.`,
    );
  const members = groupFlips(before, after, groups);
  const random = createRandom(seed);
  const drawn: number[] = [];
  for (let resample = 0; resample < resamples; resample++) {
    let [from, to] = [0, 0];
    for (let k = 0; k < members.length; k++) {
      const own = members[random.below(members.length)];
      from += own?.from ?? 0;
      to += own?.to ?? 0;
    }
    if (from > 0) drawn.push((from - to) / from);
  }
  drawn.sort((a, b) => a - b);
  const at = (share: number) => drawn[Math.min(drawn.length - 1, Math.floor(share * drawn.length))] ?? NaN;
  const count = (flips: readonly boolean[]) => flips.filter(Boolean).length;
  const value = (count(before) - count(after)) / count(before);
  return { value, low: at((1 - level) / 2), high: at((1 + level) / 2) };
}

/** Flips before and after of each group; every item is its own where there are no groups. */
function groupFlips(
  before: readonly boolean[],
  after: readonly boolean[],
  groups: readonly string[] | undefined,
): { from: number; to: number }[] {
  const byGroup = new Map<string, { from: number; to: number }>();
  before.forEach((flip, at) => {
    const key = groups?.[at] ?? String(at);
    const sums = byGroup.get(key) ?? { from: 0, to: 0 };
    sums.from += Number(flip);
    sums.to += Number(after[at]);
    byGroup.set(key, sums);
  });
  return [...byGroup.values()];
}
