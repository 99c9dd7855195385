import { create } from '@bufbuild/protobuf';
import { lossTableParametersSchema, registryV1 } from '@thalamus/contracts';
import type { RegistryView } from '@thalamus/registry';
import { describe, expect, it } from 'vitest';
import { planLossTable } from './plan-loss-table.js';
import { RegisteredInputs } from './registered-inputs.js';

const { ExpertKind } = registryV1;
const [ON, OTHER] = ['sha256:on', 'sha256:other'];
const version = (
  expert: string,
  more: Partial<Omit<registryV1.ExpertVersion, '$typeName' | '$unknown'>> = {},
) =>
  create(registryV1.ExpertVersionSchema, {
    expert,
    version: '1',
    kind: ExpertKind.LOWRANK,
    task: 'fill-mask',
    manifestDigest: `sha256:${expert}`,
    baseDigest: ON,
    ...more,
  });
const standing = { baseDigest: '' };
const labelled = { task: 'text-classification' };
const VERSIONS = [
  version('m1'),
  version('m2'),
  version('moved', { baseDigest: OTHER }),
  version('whole', { ...standing, kind: ExpertKind.FULL }),
  version('alone', { ...standing, kind: ExpertKind.FULL }),
  version('odd', { kind: ExpertKind.PROBE }),
  version('c1', labelled),
  version('c2', { ...labelled, ...standing, kind: ExpertKind.FULL }),
  version('c3', { ...labelled, ...standing, kind: ExpertKind.TWIN }),
  version('far', { ...labelled, ...standing, kind: ExpertKind.UPSTREAM }),
  version('talk', { ...standing, task: 'text-generation', kind: ExpertKind.UPSTREAM }),
];
const BASES = [
  version('on', { task: 'feature-extraction', manifestDigest: ON, ...standing }),
  version('other', { task: 'feature-extraction', manifestDigest: OTHER, ...standing }),
];

/** A registry with these bases. */
function registered(bases: readonly registryV1.ExpertVersion[]): RegisteredInputs {
  const all = [...VERSIONS, ...bases];
  const dataset = create(registryV1.DatasetSchema, { name: 'p', version: '1', digest: 'sha256:p' });
  const view: Partial<RegistryView> = {
    version: (expert, wanted) => all.find((item) => item.expert === expert && item.version === wanted),
    experts: () => bases.map(({ expert, task }) => create(registryV1.ExpertSchema, { name: expert, task })),
    stableVersion: (expert) => bases.find((item) => item.expert === expert),
    get: (key) =>
      key === 'dataset/p@1'
        ? create(registryV1.ResourceSchema, { key, value: { case: 'dataset', value: dataset } })
        : undefined,
  };
  return new RegisteredInputs(view as RegistryView);
}

const plan = (experts: readonly string[], more: object = {}, bases = BASES) =>
  planLossTable(
    lossTableParametersSchema.parse({
      experts: experts.map((name) => `${name}@1`),
      dataset: 'p@1',
      parts: 2,
      part: 1,
      ...more,
    }),
    registered(bases),
  );
const refused = (experts: readonly string[], more: object = {}, bases = BASES) =>
  expect(() => plan(experts, more, bases));

describe('the plan of a part of a loss table', () => {
  it('fixes the digests of prompts, experts and their base, and the masks', () => {
    expect(plan(['m2', 'm1'])).toEqual({
      parameters: { experts: ['m2@1', 'm1@1'], dataset: 'p@1', parts: 2, part: 1, masks: 4, seed: 0 },
      inputs: [
        { name: 'data', digest: 'sha256:p' },
        { name: 'expert-1', digest: 'sha256:m2' },
        { name: 'expert-2', digest: 'sha256:m1' },
        { name: 'base', digest: ON },
      ],
    });
    expect(plan(['m1', 'm2'], { masks: 2, seed: 7 }).parameters).toMatchObject({ masks: 2, seed: 7 });
  });

  it('needs a base for masked words alone: that of the experts, the one that is named, or the only one', () => {
    const baseOf = (...args: Parameters<typeof plan>) =>
      plan(...args).inputs.find(({ name }) => name === 'base')?.digest;
    expect(baseOf(['whole', 'm1'])).toBe(ON);
    expect(baseOf(['c2', 'c1'])).toBe(ON);
    expect(baseOf(['c2', 'c3'])).toBeUndefined();
    expect(baseOf(['whole', 'moved'])).toBe(OTHER);
    expect(baseOf(['whole', 'alone'], {}, BASES.slice(0, 1))).toBe(ON);
    expect(baseOf(['whole', 'alone'], { base: 'other@1' })).toBe(OTHER);
    refused(['whole', 'alone']).toThrow(/parameters\.base: name the base .* on@1, other@1/);
    expect(plan(['c2', 'c3']).parameters).not.toHaveProperty('masks');
    refused(['m1', 'm2'], { base: 'other@1' }).toThrow(
      /parameters\.base: m1@1 stands on another base than other@1/,
    );
    refused(['m1', 'moved']).toThrow(/m1@1 and moved@1 stand on different bases/);
    refused(['m1', 'm2'], { base: 'm1@1' }).toThrow(/m1@1 serves fill-mask; a base serves/);
  });

  it('refuses what is not registered', () => {
    refused(['m1', 'm9']).toThrow(/No version m9@1 is registered/);
    refused(['m1', 'm2'], { dataset: 'q@1' }).toThrow(/No data set q@1 is registered/);
  });

  it('refuses what is not measured, and what is on another scale', () => {
    refused(['c1', 'far']).toThrow(/far@1 is upstream for text-classification/);
    refused(['m1', 'odd']).toThrow(/odd@1 is probe for fill-mask/);
    refused(['m1', 'on']).toThrow(/on@1 is lowrank for feature-extraction/);
    refused(['talk', 'm1']).toThrow(/talk@1 is upstream for text-generation/);
    refused(['m1', 'c1']).toThrow(/m1@1 is for fill-mask, c1@1 for text-classification: .* make a table for/);
    refused(['c1', 'c2'], { masks: 4 }).toThrow(/parameters\.masks: has no effect on text-classification/);
    refused(['c1', 'c2'], { seed: 1 }).toThrow(/parameters\.seed: has no effect/);
  });
});
