import { create } from '@bufbuild/protobuf';
import type { ModelContract } from '@thalamus/compatibility';
import { releaseV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { describe, expect, it } from 'vitest';
import { needAskable, needEnough, needKnownLabels } from './probe-fit.js';

const version = (change: Partial<ModelContract> = {}) => ({
  name: 'intents@2',
  contract: { task: 'text-classification', labels: ['card', 'law'], ...change } as ModelContract,
});
const messageOf = (work: () => void): string => {
  try {
    work();
  } catch (fault) {
    if (!ThalamusError.is(fault) || fault.code !== 'REQUEST_INVALID') throw fault;
    expect(fault.violations[0]?.field).toBe('probes_digest');
    return fault.message;
  }
  return '';
};

describe('whether probes can be asked', () => {
  it.each([
    ['a remote model', { upstream: 'm at http://x' }, 'is a remote model'],
    ['a masked language model', { task: 'fill-mask', labels: undefined }, 'serves fill-mask'],
    ['an embedder', { task: 'feature-extraction', labels: undefined }, 'serves feature-extraction'],
    ['several labels at once', { problemType: 'multi_label_classification' }, 'several labels at once'],
  ] as [string, Partial<ModelContract>, string][])('not of %s', (_, change, part) => {
    expect(messageOf(() => needAskable(version(change)))).toContain(part);
    expect(messageOf(() => needAskable(version()))).toBe('');
  });

  it('only with labels that one of the versions has; the item is named, and not what it holds', () => {
    const versions = [version(), version({ labels: ['card', 'cash'] })];
    const probe = (label: string) => ({ id: 'q', text: 'secret', label });
    const ask = (...labels: string[]) => messageOf(() => needKnownLabels(labels.map(probe), versions));
    expect(ask('card', 'law', 'cash')).toBe('');
    expect(ask('card', 'hidden')).toContain('item 2 has a label that is none of the 3 of intents@2');
    expect(ask('card', 'hidden')).not.toMatch(/hidden|secret/);
  });

  it('only as many as SHADOW needs, where it rests on them alone', () => {
    const enough = (mirrorShare: number, items: number) =>
      messageOf(() =>
        needEnough(create(releaseV1.ReleasePlanSchema, { mirrorShare, minimumSamples: 100 }), items),
      );
    expect(enough(0.1, 1)).toBe('');
    expect(enough(0, 100)).toBe('');
    expect(enough(0, 99)).toContain('it would never end');
  });
});
