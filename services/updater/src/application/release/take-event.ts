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
  if (record.topic === TOPICS.feedbackGiven.name) return takeFeedback(evidence, record);
  if (record.topic === TOPICS.shadowCompared.name) {
    const event = decodeEvent(TOPICS.shadowCompared, record);
    const mine = event && evidence.get(event.releaseId);
    if (event) mine?.mirrored(event, record.timestampMs);
    return mine ? 'taken' : 'passed';
  }
  if (record.topic === TOPICS.probeAnswered.name) {
    const event = decodeEvent(TOPICS.probeAnswered, record);
    const mine = event && evidence.get(event.releaseId);
    if (event) mine?.probed(event);
    return mine ? 'taken' : 'passed';
  }
  const event = decodeEvent(TOPICS.requestCompleted, record);
  const mine = event && evidence.get(event.releaseId);
  if (event) mine?.completed(event, record.timestampMs);
  return mine ? 'taken' : 'passed';
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
