import { create } from '@bufbuild/protobuf';
import { rateSequence } from '@thalamus/compatibility';
import { releaseV1 } from '@thalamus/contracts';
import type { NamedTest } from './gate-tests.js';

/** What was counted of live traffic: requests. */
export interface LiveCounts {
  readonly mirrored: number;
  readonly stable: number;
  readonly candidate: number;
  /** Feedback that could be used. */
  readonly feedback: number;
  /** Labelled probes that both versions have answered. */
  readonly probed: number;
  /** Of the present step. */
  readonly step: number;
}

/** Counts and tests as they are told, each share with its confidence sequence. */
export function liveReading(
  { mirrored, stable, candidate, feedback, probed, step }: LiveCounts,
  tests: readonly NamedTest[],
): releaseV1.LiveReading {
  return create(releaseV1.LiveReadingSchema, {
    mirrored: BigInt(mirrored),
    stableRequests: BigInt(stable),
    candidateRequests: BigInt(candidate),
    feedback: BigInt(feedback),
    stepSamples: BigInt(step),
    probed: BigInt(probed),
    tests: tests.map(([test, { events, trials, pValue, alarm }, limit]) => ({
      ...{ test, limit, pValue, alarm },
      trials: BigInt(trials),
      events: BigInt(events),
      rate: trials === 0 ? 0 : events / trials,
      ...rateSequence(events, trials),
    })),
  });
}
