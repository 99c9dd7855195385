import { create } from '@bufbuild/protobuf';
import { registryV1 } from '@thalamus/contracts';
import { describe, expect, it } from 'vitest';
import type { RouterModels } from '../router-models.js';
import { JudgeOutcome } from './judge-outcome.js';

const request = {
  tenant: 'acme',
  task: 'text-classification',
  expert: 'good',
  version: '1',
  routerModel: 'fitted@2',
  region: 3,
  predicted: 0.25,
};
const given = { tenant: 'acme', score: 0, atMs: 1_000 };

/** What the registry says of fitted@2, and what is loaded here. */
function judgeOf(registered: { active?: boolean; lossUnit?: string } | undefined, loaded: string[] = []) {
  const resource = registered
    ? create(registryV1.ResourceSchema, {
        key: 'router-model/fitted@2',
        value: { case: 'routerModel', value: { name: 'fitted', version: '2', active: true, ...registered } },
      })
    : undefined;
  const models = loaded.map((version) => ({ manifest: { name: 'fitted', version, lossUnit: 'error' } }));
  return new JudgeOutcome(
    { all: () => models as unknown as ReturnType<RouterModels['all']> },
    {
      get: (key) => (key === resource?.key ? resource : undefined),
      expert: (name) => create(registryV1.ExpertSchema, { name, stable: '1' }),
    },
    { learnsFrom: (tenant) => tenant !== 'quiet' },
  );
}

describe('feedback is judged by what the registry says', () => {
  it('of an active router model counts, loaded here or not', () => {
    const verdict = judgeOf({ lossUnit: 'nats' }).run(request, given);
    expect(verdict).toMatchObject({ kind: 'counts', outcome: { unit: 'nats', region: 3, predicted: 0.25 } });
    expect(judgeOf({ lossUnit: 'nats' }).serves(request)).toBe(true);
  });

  it.each([
    ['a router model that is active no longer', { active: false, lossUnit: 'nats' }],
    ['a router model that is not registered', undefined],
  ])('of %s is stale, although it is loaded here', (_what, registered) => {
    const judge = judgeOf(registered, ['2']);
    expect(judge.run(request, given)).toEqual({ kind: 'stale' });
    expect(judge.serves(request)).toBe(false);
  });

  it('of a version that is not stable is stale, and of a tenant that is frozen is not looked at', () => {
    const judge = judgeOf({ lossUnit: 'nats' });
    expect(judge.run({ ...request, version: '2' }, given)).toEqual({ kind: 'stale' });
    expect(judge.run(request, { ...given, tenant: 'quiet' })).toEqual({ kind: 'frozen' });
  });

  it('of a router model that was registered without its loss unit takes that of the loaded one, and is unknown without', () => {
    expect(judgeOf({}, ['1', '2']).run(request, given)).toMatchObject({
      kind: 'counts',
      outcome: { unit: 'error', observed: 1 },
    });
    expect(judgeOf({}, ['1']).run(request, given)).toEqual({ kind: 'unknown' });
    expect(judgeOf({}, ['1']).serves(request)).toBe(true);
  });
});
