import { create } from '@bufbuild/protobuf';
import { registryV1, releaseV1 } from '@thalamus/contracts';
import { planOf } from '../src/domain/release/release-plan.js';
import { moved, type ReleaseRecord } from '../src/domain/release/release-states.js';

/** A release of pico@2 that was started, before it has moved. */
export function releaseRecord(
  plan: Partial<Omit<releaseV1.StartRequest, '$typeName' | '$unknown'>> = {},
): ReleaseRecord {
  const names = { id: 'r', expert: 'pico', fromVersion: '1', toVersion: '2' };
  const request = create(releaseV1.StartRequestSchema, { expert: 'pico', toVersion: '2', ...plan });
  const summary = create(registryV1.ReleaseSummarySchema, {
    ...names,
    details: { ...names, plan: planOf(request) },
  }) as ReleaseRecord;
  return moved(summary, releaseV1.ReleaseState.DRAFT, { by: 'ada', reason: 'Started.', atMs: 1_000 });
}
