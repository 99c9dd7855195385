import { releaseV1 } from '@thalamus/contracts';
import type { DescribedRelease, ReleaseFlips } from '../../application/admin/manage-releases.js';
import { verdictOf } from '../../domain/release-verdict.js';
import { isoTime } from './admin-answers.js';

/** A release with what of it this gateway goes by. */
export function releaseJson({ release, live }: DescribedRelease) {
  const { id, expert, fromVersion, toVersion, weight, comparison } = release;
  return {
    ...{ id, expert, fromVersion, toVersion, weight },
    state: stateText(release.state),
    history: release.history.map(({ state, at, by, reason, evidence }) => ({
      state: stateText(state),
      at: isoTime(at),
      ...{ by, reason, evidence },
    })),
    comparison: comparison ? comparisonJson(comparison) : null,
    gate: release.gate ? gateJson(release.gate) : null,
    plan: release.plan ? planJson(release.plan) : null,
    step: release.step,
    stepBeganAt: isoTime(release.stepBeganAt),
    trafficBeganAt: isoTime(release.trafficBeganAt),
    stopped: release.stopped,
    waitingFor: release.waitingFor,
    probes: release.probes ? { digest: release.probes.digest, items: release.probes.items } : null,
    repair: release.repair ? repairJson(release.repair) : null,
    live: release.live ? readingJson(release.live) : null,
    gateway: live
      ? {
          weight: live.weight,
          mirrorShare: live.mirrorShare,
          mirrorPerSecond: live.mirrorPerSecond,
          leaseEndsAt: new Date(live.leaseEndsAtMs).toISOString(),
        }
      : null,
  };
}

/** What a release says of its candidate: small, and every field always there, for pollers that look with a JSON path. */
export function verdictJson({ release }: DescribedRelease) {
  const { id, expert, fromVersion, toVersion, step, weight, comparison, live } = release;
  const { verdict, reason } = verdictOf(release);
  const flips = comparison?.overall?.negativeFlips;
  return {
    object: 'verdict',
    release: id,
    ...{ expert, from: fromVersion, to: toVersion, state: stateText(release.state) },
    ...{ verdict, reason, step, weight },
    samples: Number(live?.stepSamples ?? 0n),
    nfr: flips ? { value: flips.value, low: flips.low, high: flips.high } : null,
    tests: live?.tests.map(testJson) ?? [],
  };
}

/** Flipped items of a release. */
export function flipsJson(release: string, { digest, total, items }: ReleaseFlips) {
  return { object: 'list', release, digest: digest ?? null, total, data: items };
}

/** What the live tests of a release said on the way. */
export function readingsJson(release: string, readings: readonly releaseV1.LiveReading[]) {
  return { object: 'list', release, data: readings.map(readingJson) };
}

function gateJson({ name, digest, rules, approvals }: releaseV1.ReleaseGate) {
  return {
    ...{ name, digest },
    rules: rules.map(
      ({ rule, measure, data, slice, threshold, status, value, n, sentence, approvals: needed }) => ({
        ...{ rule, measure, data, slice, threshold },
        status: releaseV1.RuleStatus[status].toLowerCase(),
        value: value ?? null,
        n: n === undefined ? null : Number(n),
        ...{ sentence, approvals: needed },
      }),
    ),
    approvals: approvals.map(({ by, reason, at, state }) => ({
      ...{ by, reason, at: isoTime(at), state: stateText(state) },
    })),
  };
}

function planJson(plan: releaseV1.ReleasePlan) {
  const { steps, negativeFlipBudget, minimumSamples, stepSeconds, mirrorShare, mirrorPerSecond } = plan;
  const { disagreementLimit, errorLimit, latencyTolerance, level } = plan;
  return {
    ...{ steps, negativeFlipBudget, minimumSamples, stepSeconds, mirrorShare, mirrorPerSecond },
    ...{ disagreementLimit, errorLimit, latencyTolerance, level },
  };
}

function repairJson({ jobId: job, parameters = {}, by, askedAt, replacedVersion, ended }: releaseV1.Repair) {
  return { job, parameters, by, at: isoTime(askedAt), replacedVersion, ended };
}

function readingJson(reading: releaseV1.LiveReading) {
  return {
    mirrored: Number(reading.mirrored),
    stableRequests: Number(reading.stableRequests),
    candidateRequests: Number(reading.candidateRequests),
    feedback: Number(reading.feedback),
    stepSamples: Number(reading.stepSamples),
    probed: Number(reading.probed),
    tests: reading.tests.map(testJson),
  };
}

function testJson({ test, trials, events, rate, low, high, limit, pValue, alarm }: releaseV1.TestReading) {
  return {
    test,
    trials: Number(trials),
    events: Number(events),
    ...{ rate, low, high, limit, pValue, alarm },
  };
}

function comparisonJson(comparison: releaseV1.CompareResponse) {
  const { verdict, reason, negativeFlipBudget, overall, slices } = comparison;
  return {
    verdict: releaseV1.Verdict[verdict].toLowerCase(),
    ...{ reason, negativeFlipBudget },
    overall: overall ? sliceJson(overall) : null,
    slices: slices.map(sliceJson),
  };
}

function sliceJson(row: releaseV1.SliceComparison) {
  return {
    slice: row.slice,
    n: Number(row.n),
    oldAccuracy: rateJson(row.oldAccuracy),
    newAccuracy: rateJson(row.newAccuracy),
    negativeFlips: rateJson(row.negativeFlips),
    positiveFlips: rateJson(row.positiveFlips),
    inconsistentFlips: rateJson(row.inconsistentFlips),
    backwardTrust: row.backwardTrust,
    mcnemarP: row.mcnemarP,
  };
}

function rateJson(rate: releaseV1.Rate | undefined) {
  const { count = 0n, value = 0, low = 0, high = 0 } = rate ?? {};
  return { count: Number(count), value, low, high };
}

function stateText(state: releaseV1.ReleaseState): string {
  return releaseV1.ReleaseState[state].toLowerCase();
}
