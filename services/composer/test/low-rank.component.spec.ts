import {
  materialiseBundle,
  openBundle,
  parseDigest,
  readLowRankAdapter,
  type ExpertManifest,
  type OpenedBundle,
} from '@thalamus/bundle';
import type { composerV1 } from '@thalamus/contracts';
import { toThalamusError } from '@thalamus/errors';
import { ChildProcessRuntime, OrtRuntime, Tokenizer } from '@thalamus/inference';
import { asFloat32, tensor } from '@thalamus/tensor';
import { picoTokenizer } from '@thalamus/testing';
import { openClassifier, openTrainingBase } from '@thalamus/training';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { ComposerMesh, texts } from './composer-mesh.js';

// Processes and ONNX Runtime on a machine that may be busy: bounds against hanging, not promises.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const BANK = ['card', 'lost', 'money', 'block', 'my'];
const LAW = ['law', 'court', 'the', 'hello', 'world'];
const PARENTS = ['bank-desk', 'tuned-court', 'tuned-desk'];
const mesh = new ComposerMesh();

const recipe = (parents: readonly string[]) => ({
  method: 'switch',
  parents: parents.map((expert) => ({ expert })),
});

async function compose(parents: readonly string[]): Promise<composerV1.Composition> {
  for await (const { event } of mesh.composer.compose({ recipe: recipe(parents) }, { deadlineMs: 100_000 }))
    if (event.case === 'composition') return event.value;
  throw new Error('no composition came');
}

async function opened(digest: string): Promise<OpenedBundle<ExpertManifest>> {
  return openBundle(await materialiseBundle(parseDigest(digest), mesh.store, join(mesh.folder, 'opened')));
}

beforeAll(async () => {
  await mesh.start();
  await mesh.addBase('pico', 1);
  await mesh.addBase('other-base', 2, { kind: 'int8', blockSize: 16 });
  const probe = {
    name: 'bank-desk',
    labels: ['block', 'other', 'refund'],
    seed: 11,
    texts: texts(BANK, 120),
  };
  await mesh.addParent(probe);
  await mesh.addTrained({ ...probe, name: 'tuned-desk', labels: ['urgent', 'other'] }, 4);
  const court = { name: 'tuned-court', labels: ['appeal', 'other'], seed: 12, texts: texts(LAW, 120) };
  await mesh.addTrained(court, 2);
  await mesh.addTrained({ ...court, name: 'elsewhere', base: 'other-base' }, 2);
  await mesh.addTrained({ ...court, name: 'elsewhere-too', base: 'other-base' }, 3);
});
afterAll(() => mesh.stop());

describe('the composer, of trained low-rank experts and a probe', () => {
  it('makes one graph that does what each does alone, of the size that was foretold', async () => {
    const before = await mesh.composer.preflight({ recipe: recipe(PARENTS) });
    expect(before.obstacles).toEqual([]);
    const made = await compose(PARENTS);
    expect(made.parents).toEqual(PARENTS.map((name) => `${name}@1`));
    expect(made.metrics['parity_max_abs']).toBeLessThan(1e-4);
    // The words of court are its own.
    expect(made.metrics['accuracy_loss/tuned-court']).toBeLessThan(0.2);
    expect(made.metrics['parent_accuracy/tuned-desk']).toBeGreaterThan(0);
    const { manifest, ...bundle } = await opened(made.manifestDigest);
    expect(Number(before.sizeBytes) / made.metrics['bytes']!).toSatisfy(
      (share: number) => share > 0.6 && share < 1.6,
    );
    expect(manifest).toMatchObject({
      kind: 'twin',
      labels: ['block', 'other', 'refund', 'appeal', 'urgent'],
    });
    expect(manifest.base).toBeUndefined();

    // Against each parent by another way: its branches folded into float32 weights.
    const runtime = new ChildProcessRuntime();
    const tools = {
      runtime: new OrtRuntime(),
      threads: 1,
      readTokenizer: (json: Uint8Array) => Tokenizer.parse(json),
    };
    const base = await openTrainingBase(join(mesh.folder, 'made', 'pico'), tools);
    try {
      const composed = await runtime.load({ path: bundle.filePath('model.onnx') });
      const prompts = [
        'block my lost card',
        'the court',
        'hello world law',
        'money',
        'lost my money',
        'please',
      ];
      const tasks = prompts.map((_, row) => row % PARENTS.length);
      const { inputIds, attentionMask } = await Tokenizer.parse(picoTokenizer()).encodeBatch(prompts, 32);
      const task = tensor('int64', [prompts.length], BigInt64Array.from(tasks, BigInt));
      const outputs = await composed.run({ input_ids: inputIds, attention_mask: attentionMask, task });
      const { data } = asFloat32(outputs['scores'], 'scores');
      const labels = manifest.labels!;
      for (const [index, name] of PARENTS.entries()) {
        const parent = await openBundle(join(mesh.folder, 'made', name));
        const classifier = await openClassifier(parent, { ...tools, base });
        const expected = (await classifier.answer(prompts)).map(Math.exp);
        prompts.forEach((_, row) => {
          if (tasks[row] !== index) return;
          labels.forEach((label, at) => {
            const own = classifier.labels.indexOf(label);
            const truth = own < 0 ? 0 : expected[row * classifier.labels.length + own]!;
            expect(Math.abs(data[row * labels.length + at]! - truth)).toBeLessThan(1e-4);
          });
        });
        await classifier.release();
      }
    } finally {
      await runtime.close();
      await tools.runtime.close();
    }
  });

  it('composes low-rank experts alone, over a base in int8, and finds the composition again', async () => {
    const made = await compose(['elsewhere', 'elsewhere-too']);
    expect(made.metrics['parity_max_abs']).toBeLessThan(1e-4);
    expect(await compose(['elsewhere-too', 'elsewhere'])).toEqual({ ...made, existed: true });
    const { factors } = await readLowRankAdapter(await openBundle(join(mesh.folder, 'made', 'elsewhere')));
    expect(factors.some(({ b }) => b.some((value) => value !== 0))).toBe(true);
  });

  it('refuses a low-rank expert over another base by name', async () => {
    const { obstacles } = await mesh.composer.preflight({ recipe: recipe(['bank-desk', 'elsewhere']) });
    expect(obstacles.map(({ kind, parent }) => `${kind} ${parent}`)).toEqual(['base elsewhere@1']);
    const error = await compose(['bank-desk', 'elsewhere']).then(() => undefined, toThalamusError);
    expect(error?.code).toBe('COMPOSITION_REFUSED');
    expect(error?.message).toContain('elsewhere@1 stands on sha256:');
  });
});
