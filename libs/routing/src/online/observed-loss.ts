import { ThalamusError } from '@thalamus/errors';

/** Unit of the losses of a router model. */
export type LossUnit = 'nats' | 'error';

/** Scores below this one count as it: what is certainly wrong must not weigh without bound. */
const LEAST_SCORE = 0.01;

/** Largest loss that a score can say, in the unit: 1 for `error`, -ln 0.01 = 4.61 for `nats`. */
export function lossRange(unit: LossUnit): number {
  return unit === 'error' ? 1 : -Math.log(LEAST_SCORE);
}

/**
 * Loss that a quality score from 0 to 1 stands for: 1 - score for `error`; for `nats` -ln(score), the score being read as
 * the probability of the right answer, no less than 0.01. @throws REQUEST_INVALID for a score outside of 0 to 1.
 */
export function observedLoss(unit: LossUnit, score: number): number {
  if (!(score >= 0 && score <= 1))
    throw new ThalamusError('REQUEST_INVALID', `A score of ${score} is no quality; give one from 0 to 1.`);
  // Not -0.
  return unit === 'error' ? 1 - score : Math.abs(Math.log(Math.max(score, LEAST_SCORE)));
}
