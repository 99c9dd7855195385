import { normalQuantile } from './normal-quantile.js';

/** log P(X = k) of a binomial(n, 1/2), for k from 0 on, and the sum of the first ones. */
function lowerTail(k: number, n: number): { readonly below: number; readonly at: number } {
  let logTerm = -n * Math.LN2;
  let below = 0;
  for (let i = 1; i <= k; i++) {
    below += Math.exp(logTerm);
    logTerm += Math.log(n - i + 1) - Math.log(i);
  }
  return { below, at: Math.exp(logTerm) };
}

/**
 * Two-sided exact McNemar test of equal accuracy (McNemar 1947): with b items only the old and c only the new version has
 * right, min(b, c) is binomial(b + c, 1/2) under the null hypothesis. Returns the p-value.
 */
export function mcnemarExact(onlyOldRight: number, onlyNewRight: number): number {
  const { below, at } = lowerTail(Math.min(onlyOldRight, onlyNewRight), onlyOldRight + onlyNewRight);
  return Math.min(1, 2 * (below + at));
}

/**
 * The same with half of the probability of what was seen (mid-p; Fagerland, Lydersen and Laake 2013): about as many false alarms
 * as the level says, where the exact test has fewer.
 */
export function mcnemarMidP(onlyOldRight: number, onlyNewRight: number): number {
  if (onlyOldRight === onlyNewRight) return 1;
  const { below, at } = lowerTail(Math.min(onlyOldRight, onlyNewRight), onlyOldRight + onlyNewRight);
  return Math.min(1, 2 * (below + at / 2));
}

/** What a comparison should be able to see. */
export interface WantedPower {
  /** Difference of accuracy, 0 to 1; its sign does not matter. */
  readonly difference: number;
  /** Share of items that only one of the versions has right: NFR + PFR, at least as large as the difference. */
  readonly discordance: number;
  /** Chance of a false alarm. Default 0.05. */
  readonly level?: number;
  /** Chance of seeing the difference. Default 0.8. */
  readonly power?: number;
}

/**
 * Items that a McNemar test needs to see a difference of accuracy (Connor 1987): whole, rounded up.
 * @throws RangeError for shares that cannot be
 */
export function itemsNeeded({ difference, discordance, level = 0.05, power = 0.8 }: WantedPower): number {
  const delta = Math.abs(difference);
  if (!(delta > 0 && delta <= discordance && discordance <= 1))
    throw new RangeError(
      `Items needed: a difference of ${difference} with a discordance of ${discordance} cannot be; 0 < |difference| <= discordance <= 1.`,
    );
  const [a, b] = [normalQuantile(1 - level / 2), normalQuantile(power)];
  const root = a * Math.sqrt(discordance) + b * Math.sqrt(discordance - delta * delta);
  return Math.ceil((root / delta) ** 2);
}
