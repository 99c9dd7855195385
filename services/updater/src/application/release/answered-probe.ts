import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { Probe } from '@thalamus/compatibility';
import { TOPICS } from '@thalamus/contracts';
import { encodeEvent, type BusRecord } from '@thalamus/events';
import type { ReleaseRecord } from '../../domain/release/release-states.js';

const SOURCE = '/updater';

/** What comes of a probe, for the metric. */
export const OUTCOMES = ['kept', 'lost', 'gained', 'wrong', 'later', 'dropped'] as const;

/** One of them. */
export type ProbeOutcome = (typeof OUTCOMES)[number];

/** An item that both versions have answered. */
export interface AnsweredProbe {
  readonly probe: Probe;
  readonly stableRight: boolean;
  readonly candidateRight: boolean;
}

/** What both versions made of an item. */
export function outcomeOf(stableRight: boolean, candidateRight: boolean): ProbeOutcome {
  if (stableRight) return candidateRight ? 'kept' : 'lost';
  return candidateRight ? 'gained' : 'wrong';
}

/** The event that tells of it. */
export function eventOf(
  { id, expert, fromVersion, toVersion }: ReleaseRecord,
  { probe, stableRight, candidateRight }: AnsweredProbe,
): BusRecord {
  const message = {
    ...{ releaseId: id, expert, stableVersion: fromVersion, candidateVersion: toVersion },
    ...{ item: probe.id, stableRight, candidateRight, answeredAt: timestampFromMs(Date.now()) },
  };
  return encodeEvent(TOPICS.probeAnswered, message, { source: SOURCE, key: id });
}
