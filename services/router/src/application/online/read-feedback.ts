import { timestampMs } from '@bufbuild/protobuf/wkt';
import { TOPICS } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { decodeEvent, type ReceivedRecord } from '@thalamus/events';
import type { ScoredFeedback } from './outcome-ledger.js';

/** Feedback with a score; undefined when it has none. @throws EVENT_INVALID when it cannot be read */
export function readFeedback(record: ReceivedRecord): ScoredFeedback | undefined {
  const feedback = decodeEvent(TOPICS.feedbackGiven, record);
  if (feedback?.score === undefined) return undefined;
  const { tenant, requestId, score, givenAt } = feedback;
  if (!(score >= 0 && score <= 1))
    throw new ThalamusError('EVENT_INVALID', `Feedback has a score of ${score}; it goes from 0 to 1.`);
  // It may have waited for the bus where it was given. A clock may be ahead: nothing that comes before such a moment would count.
  const givenAtMs = givenAt ? timestampMs(givenAt) : record.timestampMs;
  const atMs = Math.min(givenAtMs, record.timestampMs, Date.now());
  return { tenant, requestId, score, atMs, record };
}
