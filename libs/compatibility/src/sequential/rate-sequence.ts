import { logBeta } from '../statistics/log-factorial.js';

/** Bounds of a rate that hold at all times together. */
export interface RateBounds {
  readonly low: number;
  readonly high: number;
}

const STEPS = 60;

/**
 * A confidence sequence of a rate: with chance 1 - level the true rate lies inside at every time at once, so that a plot of it may be
 * watched as it grows (Robbins 1970). It holds the rates whose beta-binomial mixture, uniform over all rates, has not gathered wealth
 * 1 / level against them. `events` of `trials` happened.
 * @throws RangeError for counts that cannot be
 */
export function rateSequence(events: number, trials: number, level = 0.05): RateBounds {
  if (!(events >= 0 && events <= trials))
    throw new RangeError(`A rate of ${events} events in ${trials} trials cannot be.`);
  if (trials === 0) return { low: 0, high: 1 };
  const mixture = logBeta(events + 1, trials - events + 1);
  const rejects = (rate: number) =>
    mixture - events * Math.log(rate) - (trials - events) * Math.log1p(-rate) >= -Math.log(level);
  const centre = events / trials;
  return {
    low: events === 0 ? 0 : edge(0, centre, rejects),
    high: events === trials ? 1 : edge(1, centre, rejects),
  };
}

/** Between an outside that is rejected and an inside that is not: the last rate that is rejected. */
function edge(outside: number, inside: number, rejects: (rate: number) => boolean): number {
  let [out, own] = [outside, inside];
  for (let step = 0; step < STEPS; step++) {
    const middle = (out + own) / 2;
    if (rejects(middle)) out = middle;
    else own = middle;
  }
  return out;
}
