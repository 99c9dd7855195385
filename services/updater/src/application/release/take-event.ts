import { TOPICS } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { decodeEvent, type ReceivedRecord } from '@thalamus/events';
import type { LiveEvidence } from '../../domain/release/live-evidence.js';

/**
 * Takes an event in for the release that it is of; `passed` when it is of none of them. Feedback does not say whose it is: all look for its
 * request.
 * @throws EVENT_INVALID
 */
export function takeEvent(
  evidence: ReadonlyMap<string, LiveEvidence>,
  record: ReceivedRecord,
): 'taken' | 'passed' {
  switch (record.topic) {
    case TOPICS.feedbackGiven.name:
      return takeFeedback(evidence, record);
    case TOPICS.shadowCompared.name:
      return takeOwn(evidence, decodeEvent(TOPICS.shadowCompared, record), (mine, event) => {
        mine.mirrored(event, record.timestampMs);
      });
    case TOPICS.probeAnswered.name:
      return takeOwn(evidence, decodeEvent(TOPICS.probeAnswered, record), (mine, event) => {
        mine.probed(event);
      });
    default:
      return takeOwn(evidence, decodeEvent(TOPICS.requestCompleted, record), (mine, event) => {
        mine.completed(event, record.timestampMs);
      });
  }
}

function takeOwn<E extends { readonly releaseId: string }>(
  evidence: ReadonlyMap<string, LiveEvidence>,
  event: E | undefined,
  take: (mine: LiveEvidence, event: E) => void,
): 'taken' | 'passed' {
  const mine = event && evidence.get(event.releaseId);
  if (!event || !mine) return 'passed';
  take(mine, event);
  return 'taken';
}

function takeFeedback(evidence: ReadonlyMap<string, LiveEvidence>, record: ReceivedRecord) {
  const feedback = decodeEvent(TOPICS.feedbackGiven, record);
  if (!feedback) return 'passed';
  const { score } = feedback;
  if (score !== undefined && !(score >= 0 && score <= 1))
    throw new ThalamusError('EVENT_INVALID', `Feedback has a score of ${score}; it goes from 0 to 1.`);
  for (const each of evidence.values()) each.given(feedback);
  return 'taken';
}
