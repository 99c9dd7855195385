import { logBeta } from './log-factorial.js';

const MOST_STEPS = 100_000;
const ENOUGH = 1e-14;
const TINY = 1e-300;

/**
 * P(X >= k) of a binomial(n, p): chance of at least so many events. The incomplete beta function by its continued fraction (Lentz; Press and
 * others 2007, section 6.4), relative accuracy about 1e-9 up to n = 1e7.
 * @throws RangeError for counts and rates that cannot be
 */
export function binomialTail(k: number, n: number, p: number): number {
  if (!(k >= 0 && k <= n && p >= 0 && p <= 1))
    throw new RangeError(`Binomial tail: ${k} of ${n} events at a rate of ${p} cannot be.`);
  if (k === 0 || p === 1) return 1;
  if (p === 0) return 0;
  const [a, b] = [k, n - k + 1];
  const front = Math.exp(a * Math.log(p) + b * Math.log1p(-p) - logBeta(a, b));
  const tail =
    p < (a + 1) / (a + b + 2) ? (front * fraction(a, b, p)) / a : 1 - (front * fraction(b, a, 1 - p)) / b;
  return Math.min(1, Math.max(0, tail));
}

function fraction(a: number, b: number, x: number): number {
  const away = (value: number) => (Math.abs(value) < TINY ? TINY : value);
  let c = 1;
  let d = 1 / away(1 - ((a + b) * x) / (a + 1));
  let result = d;
  for (let m = 1; m <= MOST_STEPS; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / away(1 + even * d);
    c = away(1 + even / c);
    result *= d * c;
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / away(1 + odd * d);
    c = away(1 + odd / c);
    result *= d * c;
    if (Math.abs(d * c - 1) < ENOUGH) return result;
  }
  throw new RangeError(`Binomial tail: no end after ${MOST_STEPS} steps (a ${a}, b ${b}, x ${x}).`);
}
