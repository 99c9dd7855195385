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
 * what both did to them (Efron and Tibshirani 1993, chapter 25). A resample without a flip before says nothing and is left out.
 * Deterministic for a seed.
 * @throws RangeError without items, and for lists of unlike length
 */
export function relativeCut(
  before: readonly boolean[],
  after: readonly boolean[],
  { seed, resamples = 2000, level = 0.95 }: Omit<BootstrapOptions, 'groups'>,
): RelativeCut {
  const n = before.length;
  if (n === 0 || after.length !== n)
    throw new RangeError(
      `Relative cut: ${n} items before and ${after.length} after; both are flips of the same items, at least one.`,
    );
  const cut = (from: number, to: number) => (from - to) / from;
  const count = (flips: readonly boolean[]) => flips.filter(Boolean).length;
  const random = createRandom(seed);
  const drawn: number[] = [];
  for (let resample = 0; resample < resamples; resample++) {
    let [from, to] = [0, 0];
    for (let k = 0; k < n; k++) {
      const item = random.below(n);
      if (before[item]) from += 1;
      if (after[item]) to += 1;
    }
    if (from > 0) drawn.push(cut(from, to));
  }
  drawn.sort((a, b) => a - b);
  const at = (share: number) => drawn[Math.min(drawn.length - 1, Math.floor(share * drawn.length))] ?? NaN;
  return { value: cut(count(before), count(after)), low: at((1 - level) / 2), high: at((1 + level) / 2) };
}
