import { createRandom } from '@thalamus/tensor';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { BundleFiles, ExpertManifest } from '../src/index.js';
import { float32Tensor, writeSafetensors } from '../src/index.js';

/** Digest of a base that no test has. */
export const BASE_DIGEST = `sha256:${'ab'.repeat(32)}` as const;

/** A sound manifest of a probe, without its list of files. */
export function sampleManifest(change: Partial<ExpertManifest> = {}): Omit<ExpertManifest, 'files'> {
  return {
    schemaVersion: 1,
    name: 'sample',
    version: '1',
    kind: 'probe',
    task: 'text-classification',
    description: 'A sample.',
    base: { name: 'pico', digest: BASE_DIGEST },
    labels: ['no', 'yes'],
    maxTokens: 16,
    parameterCount: 10,
    flopsPerToken: 20,
    precision: 'float32',
    licence: 'Apache-2.0',
    trainingData: [{ name: 'made-up', licence: 'CC0-1.0', origin: 'this test', rows: 4 }],
    evaluation: [],
    trust: { signed: false, scanned: false, backdoorTested: false },
    releaseDate: '2026-01-31',
    ...change,
  };
}

/** Files that go with the sample manifest; the second one is large enough for several chunks. */
export function sampleFiles(): BundleFiles {
  const random = createRandom(5);
  const weights = Float32Array.from({ length: 8 }, () => random.normal());
  return {
    'head.safetensors': writeSafetensors({ 'head.weight': float32Tensor([2, 4], weights) }),
    'notes/origin.txt': Uint8Array.from({ length: 700_000 }, () => random.below(256)),
  };
}

/** A folder that is removed after the test. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'thalamus-bundle-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}
