import { create } from '@bufbuild/protobuf';
import { eventsV1, registryV1, releaseV1 } from '@thalamus/contracts';
import { describe, expect, it } from 'vitest';
import { LiveEvidence } from './live-evidence.js';
import type { ReleaseRecord } from './release-states.js';

const PLAN = {
  ...{ steps: [0.5], negativeFlipBudget: 0.01, minimumSamples: 20, stepSeconds: 1, mirrorShare: 0.1 },
  ...{ disagreementLimit: 0.2, errorLimit: 0.01, latencyTolerance: 0.5, level: 0.05 },
};
const release = create(registryV1.ReleaseSummarySchema, {
  ...{ id: 'r', expert: 'pico', fromVersion: '1', toVersion: '2', state: 'CANARY' },
  details: create(releaseV1.ReleaseSchema, { plan: create(releaseV1.ReleasePlanSchema, PLAN) }),
}) as ReleaseRecord;

function evidence() {
  const made = new LiveEvidence(release);
  made.inStep('CANARY/1', false, 0);
  let next = 0;
  const completed = (version: string, codes: { readonly own?: string; readonly candidate?: string } = {}) => {
    const event = create(eventsV1.RequestCompletedSchema, {
      ...{ requestId: `c${next++}`, tenant: 'acme', expert: 'pico', version, releaseId: 'r' },
      ...{ operation: 'classifications', timingsMs: { infer: 5 } },
      ...{ errorCode: codes.own ?? '', candidateErrorCode: codes.candidate ?? '' },
    });
    made.completed(event, 1);
  };
  return { made, completed };
}

describe('requests that the candidate failed and the stable version answered', () => {
  it('are those of the candidate, and its errors', () => {
    const { made, completed } = evidence();
    for (let count = 0; count < 40; count++) {
      completed('1');
      completed('1', { candidate: 'INFERENCE_FAILED' });
    }
    expect(made.reading).toMatchObject({ stableRequests: 40n, candidateRequests: 40n, stepSamples: 40n });
    expect(made.reading.tests.find(({ test }) => test === 'canary.errors')).toMatchObject({
      ...{ events: 40n, alarm: true },
    });
    expect(made.isBroken).toBe(true);
  });

  it('take it back where every caller gets it, so that no stable request stands beside', () => {
    const { made, completed } = evidence();
    for (let count = 0; count < 10; count++) completed('1', { candidate: 'UPSTREAM_FAILED' });
    expect(made.reading.tests.filter(({ alarm }) => alarm)).toMatchObject([
      { test: 'canary.failures', events: 10n, trials: 10n, limit: 0.1 },
    ]);
  });

  it('are let pass while one of twenty fails, as upstreams do', () => {
    const { made, completed } = evidence();
    for (let count = 0; count < 2_000; count++)
      if (count % 20 === 7) completed('1', { candidate: 'UPSTREAM_FAILED' });
      else completed('2');
    expect(made.isBroken).toBe(false);
  });

  it('say nothing when it had too much to do', () => {
    const { made, completed } = evidence();
    for (let count = 0; count < 40; count++) completed('1', { candidate: 'EXPERT_OVERLOADED' });
    expect(made.reading).toMatchObject({ stableRequests: 0n, candidateRequests: 0n });
    expect(made.isBroken).toBe(false);
  });

  it('raise no alarm where the stable version fails as often', () => {
    const { made, completed } = evidence();
    for (let count = 0; count < 400; count++) {
      completed('1', count % 2 === 0 ? { own: 'TENSOR_INVALID' } : {});
      completed('1', count % 2 === 1 ? { own: 'TENSOR_INVALID', candidate: 'TENSOR_INVALID' } : {});
      completed('2');
    }
    expect(made.isBroken).toBe(false);
  });
});
