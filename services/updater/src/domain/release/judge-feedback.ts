import type { GivenFeedback, MirroredAnswers, SeenRequest } from './request-window.js';

/** Scores from here on say that an answer was right. */
const RIGHT = 0.5;

/** True once feedback on a request has spoken for a test. */
export function isUsed({ isFlipJudged, isQualityJudged }: SeenRequest): boolean {
  return isFlipJudged === true || isQualityJudged === true;
}

/** Whether the candidate lost what the stable version had right; undefined when the feedback does not say. */
export function flipOf({ label, score }: GivenFeedback, mirror: MirroredAnswers): boolean | undefined {
  if (label !== '' && mirror.stable !== '') return mirror.stable === label && mirror.candidate !== label;
  if (score === undefined) return undefined;
  // The score is of what the caller got. Another answer than a right one is taken for a wrong one.
  return score >= RIGHT && !mirror.agree;
}

/** 0 for a perfect answer, 1 for a wrong one; undefined when the feedback does not say. */
export function lossOf({ score, label }: GivenFeedback, answer: string): number | undefined {
  if (label !== '' && answer !== '') return label === answer ? 0 : 1;
  return score === undefined ? undefined : 1 - score;
}
