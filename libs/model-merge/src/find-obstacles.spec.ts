import { describe, expect, it } from 'vitest';
import { findObstacles, type BaseFacts, type ParentFacts } from './find-obstacles.js';
import { combinedLicence, derivedLicence } from './licences.js';
import { compositionMethod } from './composition-methods.js';
import { SWITCH } from './switch/switch-method.js';
import { TWIN } from './twin/twin-method.js';

const BASE: BaseFacts = {
  id: 'pico@1',
  digest: 'sha256:b',
  tokenizerDigest: 'sha256:t',
  licence: 'Apache-2.0',
};

function facts(id: string, change: Partial<ParentFacts> = {}): ParentFacts {
  return {
    id,
    kind: 'probe',
    task: 'text-classification',
    baseDigest: BASE.digest,
    tokenizerDigest: '',
    labels: ['x', 'y'],
    hasExclusiveLabels: true,
    licence: 'CC-BY-4.0',
    hasTrainingRows: true,
    ...change,
  };
}

const kinds = (changed: Partial<ParentFacts>, base: BaseFacts | undefined = BASE) =>
  findObstacles(SWITCH, [facts('a@1'), facts('b@1', changed)], base).map(({ kind, parent }) =>
    `${kind} ${parent}`.trim(),
  );

describe('findObstacles', () => {
  it('finds none between probes of one base', () => {
    expect(kinds({})).toEqual([]);
  });

  it('finds none between a probe and a low-rank classifier of one base', () => {
    expect(kinds({ kind: 'lowrank' })).toEqual([]);
  });

  it.each<[string, Partial<ParentFacts>]>([
    ['kind b@1', { kind: 'full' }],
    ['kind b@1', { kind: 'twin' }],
    ['base b@1', { kind: 'lowrank', baseDigest: 'sha256:other' }],
    ['task b@1', { kind: 'lowrank', task: 'fill-mask' }],
    ['task b@1', { task: 'fill-mask' }],
    ['base b@1', { baseDigest: 'sha256:other' }],
    ['tokenizer b@1', { tokenizerDigest: 'sha256:other' }],
    ['labels b@1', { labels: ['only'] }],
    ['labels b@1', { hasExclusiveLabels: false }],
    ['licence b@1', { licence: 'CC-BY-ND-4.0' }],
    ['licence b@1', { licence: '' }],
    ['dataset b@1', { hasTrainingRows: false }],
    ['base b@1', { baseDigest: '' }],
    ['labels', { labels: Array.from({ length: 4096 }, (_, index) => `label ${index}`) }],
  ])('says %s', (expected, change) => {
    expect(kinds(change)).toEqual([expected]);
  });

  it('says everything at once, and what to do', () => {
    const found = findObstacles(
      SWITCH,
      [facts('a@1', { labels: ['only'], hasTrainingRows: false }), facts('b@1')],
      undefined,
    );
    expect(found.map(({ kind, parent }) => `${kind} ${parent}`)).toEqual([
      'labels a@1',
      'base a@1',
      'dataset a@1',
      'base b@1',
    ]);
    for (const { description } of found) expect(description).toMatch(/; .*\.$/);
  });

  it('says of what can be no parent only that', () => {
    const other = facts('a@1', { task: 'feature-extraction', baseDigest: '', hasTrainingRows: false });
    expect(findObstacles(SWITCH, [other], undefined)).toMatchObject([{ kind: 'task', parent: 'a@1' }]);
  });

  it('composes masked language models over one base, without labels', () => {
    const masked: Partial<ParentFacts> = { kind: 'lowrank', task: 'fill-mask', labels: [] };
    const of = (method: string, ...parents: Partial<ParentFacts>[]) =>
      findObstacles(
        compositionMethod(method),
        parents.map((change, at) => facts(`p${at}@1`, change)),
        BASE,
      ).map(({ kind, parent }) => `${kind} ${parent}`);
    expect(of('twin', masked, masked)).toEqual([]);
    expect(of('ties', masked, masked)).toEqual([]);
    expect(of('twin', masked, { ...masked, kind: 'probe' })).toEqual(['kind p1@1']);
    expect(of('fisher', masked, masked)).toEqual(['task p0@1', 'task p1@1']);
    expect(of('switch', masked, masked)).toEqual(['task p0@1', 'task p1@1']);
  });

  it('names every parent of another task than the first, and both tasks', () => {
    const masked = facts('b@1', { kind: 'lowrank', task: 'fill-mask', labels: [] });
    const [found, ...more] = findObstacles(TWIN, [facts('a@1'), masked, facts('c@1')], BASE);
    expect(more).toEqual([]);
    expect(found).toMatchObject({ kind: 'task', parent: 'b@1' });
    expect(found?.description).toMatch(/serves fill-mask, and a@1 serves text-classification; .*Leave one/);
  });

  it('wants a tokenizer of the base, and licences that do not both claim the result', () => {
    expect(kinds({}, { ...BASE, tokenizerDigest: '' })).toEqual(['tokenizer a@1', 'tokenizer b@1']);
    expect(kinds({}, { ...BASE, licence: 'CC-BY-NC-ND-4.0' })).toEqual(['licence pico@1']);
    expect(kinds({ licence: 'CC-BY-SA-4.0' })).toEqual([]);
    expect(kinds({ licence: 'CC-BY-SA-4.0' }, { ...BASE, licence: 'GPL-3.0-only' })).toEqual(['licence']);
  });
});

describe('licences', () => {
  it('of several works hold all at once', () => {
    expect(combinedLicence(['MIT', 'Apache-2.0', 'MIT'])).toBe('Apache-2.0 AND MIT');
    expect(combinedLicence(['MIT'])).toBe('MIT');
    expect(combinedLicence(['MIT AND Apache-2.0', 'MIT OR GPL-2.0-only'])).toBe(
      'Apache-2.0 AND MIT AND (MIT OR GPL-2.0-only)',
    );
  });

  it('allow derived works unless they say otherwise', () => {
    expect(['MIT', 'CC-BY-4.0', 'CC0-1.0', 'CC-BY-SA-4.0'].every(derivedLicence)).toBe(true);
    expect(['CC-BY-ND-4.0', 'CC-BY-NC-ND-3.0', 'NOASSERTION', 'NONE', ' '].some(derivedLicence)).toBe(false);
  });
});
