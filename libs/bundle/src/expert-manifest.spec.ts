import { ThalamusError, type FieldViolation } from '@thalamus/errors';
import { describe, expect, it } from 'vitest';
import { BASE_DIGEST, sampleManifest } from '../test/sample-bundle.js';
import {
  encodeManifest,
  manifestNameOf,
  parseExpertManifest,
  parseRouterManifest,
} from './parse-manifest.js';
import type { ExpertManifest } from './expert-manifest.js';
import { LOW_RANK_FILES } from './low-rank-format.js';

const HEAD = { path: 'head.safetensors', sha256: '0'.repeat(64), bytes: 1 };
const MODEL = { ...HEAD, path: 'model.onnx' };
const whole = (): ExpertManifest => ({ ...sampleManifest(), files: [HEAD] });

/** Where the fields of a changed manifest are at fault. */
function violations(change: (manifest: Record<string, unknown>) => void): readonly FieldViolation[] {
  const manifest = structuredClone(whole()) as unknown as Record<string, unknown>;
  change(manifest);
  try {
    parseExpertManifest(new TextEncoder().encode(JSON.stringify(manifest)));
  } catch (error) {
    if (ThalamusError.is(error) && error.code === 'BUNDLE_INVALID') return error.violations;
    throw error;
  }
  throw new Error('the manifest was accepted');
}

const set = (path: string, value: unknown) => (manifest: Record<string, unknown>) => {
  const keys = path.split('.');
  const last = keys.pop()!;
  let target = manifest;
  for (const key of keys) target = target[key] as Record<string, unknown>;
  if (value === undefined) Reflect.deleteProperty(target, last);
  else target[last] = value;
};

const REMOTE = {
  baseUrl: 'https://api.example.com/v1',
  model: 'their-model',
  keyReference: 'env:EXAMPLE_API_KEY',
  priceInputUsdPerMtok: 0.5,
  priceOutputUsdPerMtok: 1.5,
};

describe('parseExpertManifest', () => {
  it('keeps a manifest through a round trip', () => {
    const manifest = whole();
    expect(parseExpertManifest(encodeManifest(manifest))).toEqual(manifest);
  });

  it.each([
    ['base', { ...whole().base, owner: 'me' }, 'base.owner'],
    ['surprise', 1, 'surprise'],
    ['files.0.mode', 7, 'files.0.mode'],
    ['trust.audited', true, 'trust.audited'],
    ['trainingData.0.url', 'x', 'trainingData.0.url'],
  ])('refuses the unknown field in %s', (path, value, field) => {
    expect(violations(set(path, value))).toEqual([{ field, description: 'is not a known field' }]);
  });

  it.each([
    ['problemType', 'multi_label_classification', 'text-classification', 'feature-extraction'],
    ['pooling', 'cls', 'feature-extraction', 'fill-mask'],
  ])('takes %s of its own task alone, and known values of it', (field, value, own, other) => {
    const given = (task: string, as: string) => (manifest: Record<string, unknown>) => {
      Object.assign(manifest, { task, [field]: as });
    };
    expect(violations(given(own, 'loud')).map((it) => it.field)).toEqual([field]);
    expect(violations(given(other, value))).toEqual([{ field, description: `belongs to ${own} only` }]);
    expect(() => violations(given(own, value))).toThrow('the manifest was accepted');
  });

  const required = Object.keys(whole()).filter((field) => field !== 'base' && field !== 'labels');
  it.each(required)('refuses a manifest without %s', (field) => {
    expect(violations(set(field, undefined)).map((violation) => violation.field)).toContain(field);
  });

  it.each([
    ['schemaVersion', 2],
    ['name', 'Sample'],
    ['name', '-sample'],
    ['name', 'a'.repeat(64)],
    ['version', '01'],
    ['version', 1],
    ['kind', 'adapter'],
    ['task', 'translation'],
    ['description', ''],
    ['maxTokens', 0],
    ['maxTokens', '16'],
    ['parameterCount', -1],
    ['parameterCount', 1.5],
    ['parameterCount', 2 ** 53],
    ['flopsPerToken', null],
    ['precision', 'fp32'],
    ['labels', ['one']],
    ['labels', ['one', '']],
    ['base.digest', 'sha256:abc'],
    ['base.digest', BASE_DIGEST.toUpperCase()],
    ['releaseDate', '31.01.2026'],
    ['releaseDate', '2026-02-30'],
    ['files.0.sha256', '0'.repeat(63)],
    ['files.0.bytes', -1],
    ['files.0.bytes', 2 ** 40],
    ['evaluation', [{ dataset: 'd', split: 'dev', metric: 'accuracy', value: 1, n: 1, date: '2026-01-31' }]],
    ['signature', { algorithm: 'ed25519', keyId: 'k', value: 'AA==' }],
  ])('refuses %s = %j', (path, value) => {
    const fields = violations(set(path, value)).map(({ field }) => field);
    expect(fields.some((field) => field.startsWith(path))).toBe(true);
  });

  it('demands what the kind stands on', () => {
    expect(violations(set('base', undefined))).toEqual([
      { field: 'base', description: 'is required for kind probe' },
    ]);
    expect(violations(set('files', []))).toEqual([
      { field: 'files', description: 'must list head.safetensors for kind probe' },
    ]);
    expect(violations(set('kind', 'lowrank')).map(({ description }) => description)).toEqual([
      'must list adapter.safetensors for kind lowrank',
      'must list adapter_config.json for kind lowrank',
    ]);
    const full = (manifest: Record<string, unknown>) => {
      Object.assign(manifest, { kind: 'full', files: [MODEL] });
    };
    expect(violations(full)).toEqual([
      { field: 'base', description: 'must be absent for kind full, which stands alone' },
    ]);
    expect(violations(set('labels', undefined))).toEqual([
      { field: 'labels', description: 'is required for text-classification' },
    ]);
    expect(violations(set('labels', ['a', 'a']))[0]?.description).toBe('holds the same label twice');
  });

  it('takes every kind that is whole', () => {
    const standing = { ...whole(), files: [MODEL] };
    delete standing.base;
    for (const kind of ['full', 'twin'] as const) expect(() => parse({ ...standing, kind })).not.toThrow();
    const upstream: ExpertManifest = { ...standing, kind: 'upstream', files: [], upstream: REMOTE };
    delete upstream.labels;
    expect(() => parse(upstream)).not.toThrow();
    expect(() => parse({ ...upstream, upstream: undefined })).toThrow(/upstream is required/);
    expect(() => parse({ ...whole(), upstream: REMOTE })).toThrow(/belongs to kind upstream only/);
    expect(() => parse({ ...upstream, upstream: { ...REMOTE, keyReference: 'env:HOME' } })).toThrow(
      /env:NAME_API_KEY/,
    );
    expect(() => parse({ ...upstream, upstream: { ...REMOTE, baseUrl: 'ftp://x' } })).toThrow(
      /http or https/,
    );
    const files = Object.values(LOW_RANK_FILES).map((path) => ({ ...HEAD, path }));
    expect(() => parse({ ...whole(), kind: 'lowrank', files })).not.toThrow();
  });

  it('names the first eight faults and counts the rest', () => {
    const manifest = { schemaVersion: 1 };
    const bytes = new TextEncoder().encode(JSON.stringify(manifest));
    expect(() => parseExpertManifest(bytes, 'x/expert.json')).toThrow(
      /^x\/expert\.json is not a valid manifest: .*; and \d+ more\./,
    );
  });

  it.each(['null', '[]', '3', '"text"', '{"__proto__": {"name": "x"}}'])('refuses %s', (text) => {
    expect(() => parseExpertManifest(new TextEncoder().encode(text))).toThrow(ThalamusError);
  });

  it('is not fooled by a prototype in the JSON', () => {
    const text = JSON.stringify(whole()).replace('{', '{"__proto__": {"polluted": true},');
    expect(() => parseExpertManifest(new TextEncoder().encode(text))).toThrow(
      '__proto__ is not a known field',
    );
    expect('polluted' in {}).toBe(false);
  });
});

describe('manifestNameOf', () => {
  it('tells experts from router models', () => {
    const bytes = (text: string) => new TextEncoder().encode(text);
    expect(manifestNameOf(bytes('{"candidates": []}'), 'x')).toBe('router.json');
    expect(manifestNameOf(encodeManifest(whole()), 'x')).toBe('expert.json');
    expect(() => manifestNameOf(bytes('{'), 'x')).toThrow('x is not a valid manifest');
    expect(() => parseRouterManifest(encodeManifest(whole()))).toThrow('candidates');
  });
});

function parse(manifest: ExpertManifest): ExpertManifest {
  return parseExpertManifest(encodeManifest(manifest));
}
