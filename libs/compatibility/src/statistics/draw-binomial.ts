import type { Random } from '@thalamus/tensor';
import { logFactorial } from './log-factorial.js';

/** Expected number of events from which rejection is faster than counting. */
const MANY = 10;

/**
 * Draws the number of events of a binomial(n, p): by counting gaps where few are expected, else by transformed rejection with squeeze
 * (Hörmann 1993, algorithm BTRS), which is exact.
 */
export function drawBinomial(random: Pick<Random, 'next'>, n: number, p: number): number {
  if (n === 0 || p <= 0) return 0;
  if (p >= 1) return n;
  if (p > 0.5) return n - drawBinomial(random, n, 1 - p);
  return n * p < MANY ? byGaps(random, n, p) : byRejection(random, n, p);
}

/** Gaps between events are geometric. */
function byGaps(random: Pick<Random, 'next'>, n: number, p: number): number {
  const step = Math.log1p(-p);
  let [events, at] = [0, 0];
  for (;;) {
    at += Math.floor(Math.log1p(-random.next()) / step) + 1;
    if (at > n) return events;
    events += 1;
  }
}

function byRejection(random: Pick<Random, 'next'>, n: number, p: number): number {
  const spread = Math.sqrt(n * p * (1 - p));
  const b = 1.15 + 2.53 * spread;
  const a = -0.0873 + 0.0248 * b + 0.01 * p;
  const c = n * p + 0.5;
  const inner = 0.92 - 4.2 / b;
  const alpha = (2.83 + 5.1 / b) * spread;
  const odds = Math.log(p / (1 - p));
  const mode = Math.floor((n + 1) * p);
  const top = logFactorial(mode) + logFactorial(n - mode);
  for (;;) {
    const u = random.next() - 0.5;
    const v = random.next();
    const us = 0.5 - Math.abs(u);
    const k = Math.floor(((2 * a) / us + b) * u + c);
    if (k < 0 || k > n) continue;
    if (us >= 0.07 && v <= inner) return k;
    const bound = top - logFactorial(k) - logFactorial(n - k) + (k - mode) * odds;
    if (Math.log((v * alpha) / (a / (us * us) + b)) <= bound) return k;
  }
}
