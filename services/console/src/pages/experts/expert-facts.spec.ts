import { describe, expect, it } from 'vitest';
import type { ExpertRow, VersionRow } from '../../api/types.js';
import { accuracyOf, bytesText, residencyOf, versionSummary } from './expert-facts.js';

const version: VersionRow = {
  version: '1',
  kind: 'probe',
  channels: ['stable'],
  parameterCount: 22_600_000,
  sizeBytes: 59_392,
  licence: 'CC-BY-4.0',
  evaluation: [
    { dataset: 'd', split: 'validation', metric: 'accuracy', value: 0.99, n: 10 },
    { dataset: 'd', split: 'test', metric: 'accuracy', value: 0.9071, n: 1000 },
  ],
  residents: [],
};
const row = (change: Partial<VersionRow> = {}): ExpertRow => ({
  name: 'banking77',
  task: 'text-classification',
  description: '',
  stable: '1',
  revision: 3,
  versions: [
    { ...version, version: '2', residents: [] },
    { ...version, ...change },
  ],
});
const resident = { host: 'a:1', state: 'ready', memoryBytes: 1024, errorCode: '' };

describe('accuracyOf', () => {
  it('takes the test figure of the stable version', () => {
    expect(accuracyOf(row())).toBe('90.7 %');
    expect(accuracyOf(row({ evaluation: [] }))).toBe('–');
  });
});

describe('residencyOf', () => {
  it.each([
    [[], 'nowhere'],
    [[resident], 'on one host'],
    [[resident, { ...resident, host: 'b:1' }], 'on 2 hosts'],
    [[{ ...resident, state: 'loading' }], 'loading'],
    [[{ ...resident, state: 'failed' }], 'failed'],
    [[resident, { ...resident, host: 'b:1', state: 'failed' }], 'on one host'],
  ])('of %j is "%s"', (residents, text) => {
    expect(residencyOf(row({ residents })).text).toBe(text);
  });
  it('adds up memory, and has none for a remote model', () => {
    expect(residencyOf(row({ residents: [resident, resident] })).memoryBytes).toBe(2048);
    expect(residencyOf(row({ kind: 'upstream' }))).toMatchObject({ text: 'remote', memoryBytes: 0 });
  });
});

describe('versionSummary', () => {
  it('says of a bundle how large it is, of a remote model what it costs', () => {
    expect(versionSummary(version)).toBe('probe · 58 KiB · 22.6 M parameters · CC-BY-4.0');
    const prices = { inputUsdPerMtok: 0.6, outputUsdPerMtok: 0.6 };
    expect(versionSummary({ ...version, kind: 'upstream', parameterCount: 46.7e9, prices })).toBe(
      'remote model · 46.7 B parameters · $0.6 in, $0.6 out per million tokens · CC-BY-4.0',
    );
  });
});

describe('bytesText', () => {
  it('has no size for nothing', () => {
    expect([0, 1, 2048, 30_408_704].map(bytesText)).toEqual(['–', '1 KiB', '2 KiB', '29.0 MiB']);
  });
});
