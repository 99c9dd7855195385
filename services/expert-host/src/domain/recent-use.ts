/**
 * How much something was used, when uses count less the longer they are ago: half after each `halfLife`. One number stands for all
 * uses, log2 of the sum of 2^(time / halfLife) over their times, in half-lives: of two, the one with the larger number is worth
 * more now and at any later time, however long both go without a use. A single use gives its own time, so that things used once
 * each are ordered by when (LRFU: Lee et al., "LRFU: a spectrum of policies", IEEE Trans. Computers 50(12), 2001).
 */
export function used(worth: number, time: number, halfLife: number): number {
  const now = time / halfLife;
  const [larger, smaller] = worth > now ? [worth, now] : [now, worth];
  return larger + Math.log2(1 + 2 ** (smaller - larger));
}

/** Worth of what was never used. */
export const NEVER_USED = -Infinity;
