/** A sample against the hypothesis that its mean is `alpha` or more; the values lie between `low` and `high`. */
export interface BoundedSample {
  readonly values: ArrayLike<number>;
  readonly low: number;
  readonly high: number;
  readonly alpha: number;
}

/**
 * p-value of "the mean is alpha or more" by Hoeffding and Bentkus (Bates, Angelopoulos, Lei, Malik and Jordan 2021, theorem 3;
 * Angelopoulos, Bates, Candès, Jordan and Lei 2021, "Learn then Test", proposition 1): the smaller of
 * exp(-n KL(min(m, alpha), alpha)) and e P(Binomial(n, alpha) <= ceil(n m)), values and alpha brought to [0, 1]. Valid for
 * every n; blind to the variance. 1 for an empty sample.
 */
export function hoeffdingBentkus({ values, low, high, alpha }: BoundedSample): number {
  const n = values.length;
  const level = unit(alpha, low, high);
  if (n === 0 || level <= 0) return 1;
  if (level >= 1) return 0;
  let sum = 0;
  for (let at = 0; at < n; at++) sum += unit(values[at]!, low, high);
  const mean = sum / n;
  const hoeffding = Math.exp(-n * divergence(Math.min(mean, level), level));
  const bentkus = Math.E * binomialTail(Math.ceil(sum - 1e-9), n, level);
  return Math.min(1, hoeffding, bentkus);
}

/** Largest share of the capital that a bet risks. */
const MOST_STAKED = 0.75;

/**
 * p-value of "the mean is alpha or more" by betting (Waudby-Smith and Ramdas 2024, "Estimating means of bounded random
 * variables by betting"; the hedge of Bates et al. 2021, appendix): a gambler who wins when values are below alpha has the
 * capital product of 1 - stake x (value - alpha), which under the hypothesis is a supermartingale, so that 1 / (its maximum)
 * is a p-value (Ville 1939). Stakes follow the variance of the values before, and aim at the level `delta`. The values must
 * come in an order that does not depend on them. O(n).
 */
export function bettingPValue({ values, low, high, alpha }: BoundedSample, delta: number): number {
  const n = values.length;
  const level = unit(alpha, low, high);
  if (n === 0 || level <= 0) return 1;
  if (level >= 1) return 0;
  const most = MOST_STAKED / (1 - level);
  const aim = (2 * Math.log(1 / delta)) / n;
  // Before there are values: the widest variance that [0, 1] allows, for one value.
  let mean = 0.5;
  let squares = 0.25;
  let capital = 0;
  let best = 0;
  for (let at = 0; at < n; at++) {
    const value = unit(values[at]!, low, high);
    const stake = Math.min(most, Math.sqrt(aim / (squares / (at + 1))));
    capital += Math.log1p(-stake * (value - level));
    best = Math.max(best, capital);
    const before = mean;
    mean += (value - mean) / (at + 2);
    squares += (value - before) * (value - mean);
  }
  return Math.exp(-best);
}

const unit = (value: number, low: number, high: number) =>
  Math.min(1, Math.max(0, (value - low) / (high - low)));

/** Kullback-Leibler divergence of two Bernoulli variables, in nats. */
function divergence(a: number, b: number): number {
  const part = (x: number, y: number) => (x === 0 ? 0 : x * Math.log(x / y));
  return part(a, b) + part(1 - a, 1 - b);
}

/** P(Binomial(n, p) <= k), summed from its largest term down in logarithms. */
function binomialTail(k: number, n: number, p: number): number {
  if (k >= n) return 1;
  let logTerm = n * Math.log1p(-p);
  const odds = Math.log(p) - Math.log1p(-p);
  let total = logTerm;
  for (let i = 1; i <= k; i++) {
    logTerm += Math.log(n - i + 1) - Math.log(i) + odds;
    const larger = Math.max(total, logTerm);
    total = larger + Math.log(Math.exp(total - larger) + Math.exp(logTerm - larger));
  }
  return Math.min(1, Math.exp(total));
}
