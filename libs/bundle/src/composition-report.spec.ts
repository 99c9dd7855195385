import { describe, expect, it } from 'vitest';
import {
  encodeCompositionReport,
  MAX_COMPOSITION_BYTES,
  parseCompositionReport,
  type CompositionReport,
} from './composition-report.js';

const judged: CompositionReport['parents'][number] = {
  name: 'spam',
  version: '1',
  digest: `sha256:${'a'.repeat(64)}`,
  n: 200,
  parentAccuracy: 0.8,
  accuracy: 0.84,
  normalized: 1.05,
  routedHere: 0.95,
};
const unjudged: CompositionReport['parents'][number] = {
  ...judged,
  version: '2',
  n: 0,
  parentAccuracy: null,
  accuracy: null,
  normalized: null,
  routedHere: null,
};
const report: CompositionReport = {
  schemaVersion: 1,
  method: 'twin',
  protocol: 'honest',
  parents: [judged, unjudged],
  normalized: 1.05,
  routerAccuracy: 0.95,
  routerValidationAccuracy: null,
  bytes: 30_000_000,
  parentBytes: 181_600_000,
  ranks: [
    { fraction: 0.1, bytes: 2_000_000, energy: 0.7 },
    { fraction: 1, bytes: 20_000_000, energy: 1 },
  ],
  chosen: { bytes: 4_000_000, energy: 0.9 },
  abstainBelow: 0.4,
};
const bytesOf = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
const withParent = (fields: object) => ({ ...report, parents: [{ ...judged, ...fields }] });

describe('composition.json', () => {
  it('is read as it was written', () => {
    expect(parseCompositionReport(encodeCompositionReport(report))).toEqual(report);
    const plain: CompositionReport = {
      ...report,
      method: 'ties',
      ranks: [],
      chosen: null,
      abstainBelow: null,
    };
    expect(parseCompositionReport(encodeCompositionReport(plain))).toEqual(plain);
  });

  it('of masked language models holds losses in place of accuracies', () => {
    const masked = {
      ...judged,
      parentAccuracy: null,
      accuracy: null,
      parentNats: 3.2,
      nats: 3.3,
      normalized: 0.9,
    };
    const none = { ...unjudged, parentNats: null, nats: null };
    const of = { ...report, parents: [masked, none] };
    expect(parseCompositionReport(encodeCompositionReport(of))).toEqual(of);
  });

  it.each([
    [
      'a loss beside an accuracy',
      withParent({ nats: 3, parentNats: 3 }),
      /parents\.0\.accuracy: must be null/,
    ],
    [
      'half a loss',
      withParent({ accuracy: null, parentAccuracy: null, nats: 3 }),
      /parents\.0\.nats: must be given.*200 rows/,
    ],
    ['a text in it', { ...report, prompt: 'hello' }, /prompt/],
    ['another protocol', { ...report, protocol: 'oracle' }, /protocol/],
    ['no parent', { ...report, parents: [] }, /parents/],
    ['a parent twice', { ...report, parents: [judged, judged] }, /the same version twice/],
    ['figures of no rows', withParent({ n: 0 }), /parents\.0\.n/],
    ['rows without figures', withParent({ accuracy: null }), /parents\.0\.accuracy: .*200 rows/],
    ['a ratio to nothing', withParent({ parentAccuracy: 0 }), /parents\.0\.normalized/],
    ['no ratio to something', withParent({ normalized: null }), /parents\.0\.normalized/],
    ['an accuracy that is none', withParent({ accuracy: 1.2 }), /parents\.0\.accuracy/],
    ['a rank of nothing', { ...report, ranks: [{ fraction: 0, bytes: 1, energy: 0 }] }, /fraction/],
    ['ranks out of order', { ...report, ranks: report.ranks.toReversed() }, /rising fraction/],
    ['another version', { ...report, schemaVersion: 2 }, /schemaVersion/],
  ])('refuses %s, with its place and what to do', (_, value, pattern) => {
    expect(() => parseCompositionReport(bytesOf(value))).toThrow(pattern);
    expect(() => parseCompositionReport(bytesOf(value))).toThrow(/compose run/);
  });

  it('refuses what is no JSON, and what is too large', () => {
    expect(() => parseCompositionReport(new Uint8Array([0xff]))).toThrow(/not JSON in UTF-8/);
    expect(() => parseCompositionReport(new Uint8Array(MAX_COMPOSITION_BYTES + 1))).toThrow(/larger than/);
    expect(() => encodeCompositionReport({ ...report, bytes: -1 })).toThrow(/wrong at bytes/);
  });
});
