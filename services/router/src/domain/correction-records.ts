import { timestampFromMs, timestampMs } from '@bufbuild/protobuf/wkt';
import { TOPICS, type eventsV1 } from '@thalamus/contracts';
import { encodeEvent, encodeTombstone, type BusRecord } from '@thalamus/events';
import { NO_DRIFT, type CorrectionState, type DriftState } from '@thalamus/routing';
import type { ReadPositions } from './read-positions.js';

/** Whose predictions are corrected. */
export interface CorrectedHead {
  readonly expert: string;
  readonly version: string;
  /** name@version. */
  readonly routerModel: string;
}

const SOURCE = '/router';
const DRIFT = 'drift';
/** No expert has an empty name. */
export const FOLDED_KEY = '/folded';

/** Key of the correction of an expert in a region. */
export const correctionKey = (expert: string, region: number) => `${expert}/${region}`;
/** Key of the watch over an expert; no region has such a number. */
export const driftKey = (expert: string) => `${expert}/${DRIFT}`;

/** What a replica reads of a correction. */
export function correctionRecord(
  head: CorrectedHead,
  region: number,
  state: CorrectionState,
  bias: number,
): BusRecord {
  const message = {
    ...head,
    regionId: region,
    bias,
    weight: state.weight,
    residualSum: state.residualSum,
    asOf: timestampFromMs(state.atMs),
    since: timestampFromMs(state.sinceMs),
  };
  return encodeEvent(TOPICS.routeCorrection, message, {
    source: SOURCE,
    key: correctionKey(head.expert, region),
  });
}

/** What the next corrector goes on from with the watch over an expert. */
export function driftRecord(head: CorrectedHead, state: DriftState, sinceMs: number): BusRecord {
  const message = {
    ...head,
    since: timestampFromMs(sinceMs),
    drift: {
      ...state,
      evidence: [...state.evidence],
      outcomes: BigInt(state.outcomes),
      alarmAt: BigInt(state.alarmAt),
    },
  };
  return encodeEvent(TOPICS.routeCorrection, message, { source: SOURCE, key: driftKey(head.expert) });
}

/** How far feedback has been folded in, and how far requests have been seen. */
export function foldedRecord(feedback: ReadPositions, requests: ReadPositions): BusRecord {
  const message = { folded: feedback.toMessages(), requests: { partitions: requests.toMessages() } };
  return encodeEvent(TOPICS.routeCorrection, message, { source: SOURCE, key: FOLDED_KEY });
}

/** Forgets a key. */
export const forgetRecord = (key: string): BusRecord =>
  encodeTombstone(TOPICS.routeCorrection, { source: SOURCE, key });

/** State of a correction as it was written. */
export function correctionStateOf(record: eventsV1.RouteCorrection): CorrectionState {
  return {
    residualSum: record.residualSum,
    weight: record.weight,
    atMs: record.asOf ? timestampMs(record.asOf) : 0,
    sinceMs: sinceMsOf(record),
  };
}

/** State of a watch as it was written. */
export function driftStateOf(drift: eventsV1.DriftWatch): DriftState {
  return {
    evidence: NO_DRIFT.evidence.map((none, at) => drift.evidence[at] ?? none),
    outcomes: Number(drift.outcomes),
    predictedSum: drift.predictedSum,
    observedSum: drift.observedSum,
    weight: drift.weight,
    alarmAt: Number(drift.alarmAt),
  };
}

/** When the first outcome came that a record rests on, Unix milliseconds. */
export function sinceMsOf({ since }: eventsV1.RouteCorrection): number {
  return since ? timestampMs(since) : 0;
}
