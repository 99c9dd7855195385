import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ThalamusError, type FieldViolation } from '@thalamus/errors';
import { parseRouterManifest } from './parse-manifest.js';
import type { RouterManifest } from './router-manifest.js';

const page = readFileSync(new URL('../../../docs/reference/manifest.md', import.meta.url), 'utf8');
const single = JSON.parse(/```json router.json\n([^]*?)```/.exec(page)![1]!) as RouterManifest;
const file = { sha256: '0'.repeat(64), bytes: 1 };
const input = (kind: 'sentence' | 'tokens' | 'prompt', width: number) => ({ kind, width, weight: 1 });

/** The documented router model as a cascade. */
function cascade(): RouterManifest & { secondStage: NonNullable<RouterManifest['secondStage']> } {
  const intervals = single.candidates.map(({ expert }) => ({ expert, lower: -1, upper: 1 }));
  return structuredClone({
    ...single,
    encoder: {
      ...single.encoder,
      dimension: 140,
      inputs: [input('tokens', 128), input('prompt', 12)],
      file: 'encoder.safetensors',
      tokenizer: 'tokenizer.json',
    },
    calibration: { coverage: 0.9, intervals },
    regionCount: 8,
    secondStage: {
      dimension: 524,
      inputs: [input('sentence', 384), input('tokens', 128), input('prompt', 12)],
      heads: { kind: 'linear' as const, file: 'second.safetensors' },
      threshold: 0.1,
      margin: 0.01,
      intervals: intervals.map((item) => ({ ...item, scales: [1, 2, 1, 1] })),
    },
    files: [
      ...single.files,
      { path: 'encoder.safetensors', ...file },
      { path: 'tokenizer.json', ...file },
      { path: 'second.safetensors', ...file },
    ],
  });
}

function violations(change: (manifest: ReturnType<typeof cascade>) => unknown): readonly FieldViolation[] {
  const manifest = cascade();
  change(manifest);
  try {
    parseRouterManifest(new TextEncoder().encode(JSON.stringify(manifest)));
  } catch (error) {
    if (ThalamusError.is(error) && error.code === 'BUNDLE_INVALID') return error.violations;
    throw error;
  }
  throw new Error('the manifest was accepted');
}

describe('the second stage of a router manifest', () => {
  it('is taken', () => {
    const manifest = cascade();
    expect(parseRouterManifest(new TextEncoder().encode(JSON.stringify(manifest)))).toEqual(manifest);
  });

  it.each<[string, (manifest: ReturnType<typeof cascade>) => unknown, string, RegExp]>([
    [
      'an unknown field',
      ({ secondStage }) => Object.assign(secondStage, { gate: 1 }),
      'secondStage.gate',
      /not a known/,
    ],
    ['a threshold below 0', ({ secondStage }) => (secondStage.threshold = -1), 'secondStage.threshold', /./],
    ['no sentence', ({ secondStage }) => secondStage.inputs.shift(), 'secondStage', /must name sentence/],
    [
      'a width that does not add up',
      ({ secondStage }) => (secondStage.dimension = 9),
      'secondStage',
      /524 wide together/,
    ],
    [
      'a table that the first stage lacks',
      ({ secondStage }) => (secondStage.inputs[1]!.kind = 'grams'),
      'secondStage',
      /the input grams must be one of/,
    ],
    [
      'a first stage with a graph',
      ({ encoder }) => (encoder.inputs = undefined),
      'secondStage',
      /without a graph/,
    ],
    [
      'intervals of others',
      ({ secondStage }) => (secondStage.intervals[0]!.expert = 'other'),
      'secondStage',
      /same order/,
    ],
    [
      'scales of other regions',
      ({ secondStage }) => secondStage.intervals[0]!.scales!.pop(),
      'secondStage',
      /3 scales for 4 regions/,
    ],
    ['regions of one stage alone', (manifest) => (manifest.regionCount = 7), 'secondStage', /twice/],
    [
      'heads without their sizes',
      ({ secondStage }) => (secondStage.heads.kind = 'mlp'),
      'secondStage',
      /hidden is required/,
    ],
    ['a file that is not listed', ({ files }) => files.pop(), 'files', /second head file second.safetensors/],
  ])('is refused with %s', (_name, change, field, description) => {
    const found = violations(change).find(
      (item) => item.field === field && description.test(item.description),
    );
    expect(found, JSON.stringify(violations(change))).toBeDefined();
  });
});
