import { materialiseBundle, openBundle, parseCompositionReport, parseDigest } from '@thalamus/bundle';
import type { composerV1 } from '@thalamus/contracts';
import { evaluateMaskedComposition } from '@thalamus/composition';
import { toThalamusError } from '@thalamus/errors';
import { OrtRuntime, Tokenizer } from '@thalamus/inference';
import { openTrainingBase, readTextLines } from '@thalamus/training';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { ComposerMesh, texts } from './composer-mesh.js';

// Processes and ONNX Runtime on a machine that may be busy: bounds against hanging, not promises.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

const BANK = ['card', 'lost', 'money', 'block', 'my'];
const LAW = ['law', 'court', 'the', 'hello', 'world'];
const PARENTS = ['words-of-bank', 'words-of-law'];
const mesh = new ComposerMesh();

/** A recipe in YAML. */
const document = (
  method: string,
  parameters: Record<string, unknown> = {},
  models: readonly string[] = PARENTS,
  more: Record<string, unknown> = {},
) =>
  JSON.stringify({ merge_method: method, models: models.map((model) => ({ model })), parameters, ...more });

async function compose(yaml: string, name = ''): Promise<composerV1.Composition> {
  const request = { recipe: { document: yaml, name } };
  for await (const { event } of mesh.composer.compose(request, { deadlineMs: 200_000 }))
    if (event.case === 'composition') return event.value;
  throw new Error('no composition came');
}

const refusal = async (yaml: string, name = '') =>
  toThalamusError(
    await compose(yaml, name).then(
      () => new Error('nothing was refused'),
      (fault: unknown) => fault,
    ),
  );

const opened = async (digest: string) =>
  openBundle(await materialiseBundle(parseDigest(digest), mesh.store, join(mesh.folder, 'opened')));

beforeAll(async () => {
  await mesh.start();
  await mesh.addBase('pico', 1);
  const bank = texts(BANK, 120);
  await mesh.addMaskedLm({ name: 'words-of-bank', seed: 21, texts: bank }, 2);
  await mesh.addMaskedLm({ name: 'words-of-law', seed: 22, texts: texts(LAW, 120) }, 3);
  await mesh.addMaskedLm({ name: 'same-as-bank', seed: 23, texts: bank }, 2);
  await mesh.addParent({ name: 'bank-desk', labels: ['block', 'other'], seed: 11, texts: bank });
});
afterAll(() => mesh.stop());

describe('the composer, of masked language models', () => {
  it('mixes weights and heads by text, and measures each domain in nats against the parent alone', async () => {
    const yaml = document('twin', { rank: 16 }, PARENTS, { base_model: 'pico' });
    const preflight = await mesh.composer.preflight({ recipe: { document: yaml }, estimateQuality: true });
    expect(preflight.obstacles).toEqual([]);
    expect(preflight.quality?.absent).toMatch(/Masked language models are not probed/);
    const made = await compose(yaml);
    const { metrics } = made;
    expect(metrics['parity_max_abs']).toBeLessThan(1e-4);
    expect(metrics['router_accuracy']).toBeGreaterThan(0.9);
    const scores = PARENTS.map((name) => {
      const [alone, composed] = [
        metrics[`parent_masked_log_loss/${name}`]!,
        metrics[`masked_log_loss/${name}`]!,
      ];
      // Nothing is cut off, and texts of the two are easily told apart.
      expect(Math.abs(alone - composed)).toBeLessThan(0.2);
      expect(metrics[`score_loss/${name}`]).toBeCloseTo(1 - Math.exp(alone - composed), 3);
      return Math.exp(alone - composed);
    });
    expect(metrics['normalized']).toBeCloseTo((scores[0]! + scores[1]!) / 2, 3);

    const bundle = await opened(made.manifestDigest);
    const { manifest } = bundle;
    expect(manifest).toMatchObject({ kind: 'twin', task: 'fill-mask' });
    expect(manifest.labels).toBeUndefined();
    expect(manifest.inputs?.map(({ name }) => name)).toEqual([
      'input_ids',
      'attention_mask',
      'task',
      'masked_positions',
    ]);
    const report = parseCompositionReport(await bundle.readFile('composition.json'));
    expect(report.parents.map(({ nats, accuracy }) => [typeof nats, accuracy])).toEqual([
      ['number', null],
      ['number', null],
    ]);
    expect(await compose(yaml)).toEqual({ ...made, existed: true });

    // The same figures by another way: the bundle as it lies there, evaluated on the same texts.
    const runtime = new OrtRuntime();
    const readTokenizer = (json: Uint8Array) => Tokenizer.parse(json);
    const base = await openTrainingBase(join(mesh.folder, 'made', 'pico'), {
      runtime,
      threads: 1,
      readTokenizer,
    });
    const lines = texts(BANK, 120).slice(60);
    const file = Buffer.from(lines.map((text) => JSON.stringify({ text })).join('\n'));
    const alone = await openBundle(join(mesh.folder, 'made', 'words-of-bank'));
    const judged = { task: 'bank', name: 'words-of-bank', lines: readTextLines(file, 'bank'), alone };
    const steps: number[] = [];
    const { tasks } = await evaluateMaskedComposition(bundle, [judged], base, (done, total) =>
      steps.push(done / total),
    );
    await runtime.close();
    expect(steps.at(-1)).toBe(1);
    expect(tasks).toHaveLength(1);
    expect(tasks[0]).toMatchObject({ task: 'bank', unit: 'nats' });
    expect(tasks[0]!.composed).toBeCloseTo(metrics['masked_log_loss/words-of-bank']!, 4);
    expect(tasks[0]!.parent).toBeCloseTo(metrics['parent_masked_log_loss/words-of-bank']!, 4);
  });

  it.each([
    ['linear', {}],
    ['ties', { base_model: 'pico' }],
  ])(
    'merges by %s into one set of weights, and says what random branches lose by it',
    async (method, base) => {
      // Parity is checked first: a graph that is not its merged weights would be refused for that.
      const { code, message } = await refusal(document(method, { weight: 0.5 }, PARENTS, base));
      expect(code).toBe('COMPOSITION_REFUSED');
      expect(message).toMatch(
        /words-of-\w+ loses [\d.]+ points of its normalised score on \d+ hidden word pieces of its domain/,
      );
    },
  );

  it('gives the same graph for the same recipe, and a smaller one as float16', async () => {
    const graph = async (name: string, more: Record<string, unknown> = {}) => {
      const made = await compose(document('twin', { rank: 16, top: 0 }, PARENTS, more), name);
      const { manifest } = await opened(made.manifestDigest);
      return manifest.files.find(({ path }) => path === 'model.onnx')!;
    };
    const first = await graph('once');
    expect((await graph('twice')).sha256).toBe(first.sha256);
    expect((await graph('small', { dtype: 'float16' })).bytes).toBeLessThan(first.bytes);
  });

  it('refuses what cannot be merged by name: a classifier among them, another method, two passes', async () => {
    const mixed = await refusal(document('twin', {}, [...PARENTS, 'bank-desk']));
    expect(mixed.code).toBe('COMPOSITION_REFUSED');
    expect(mixed.message).toMatch(/(bank-desk|words-of-\w+)@1 serves [\w-]+, and [\w-]+@1 serves/);
    const chosen = await refusal(document('switch'));
    expect(chosen.message).toContain(
      'words-of-bank@1 serves fill-mask; switch composes experts for text-classification',
    );
    const twice = await refusal(document('twin', { passes: 2 }));
    expect(twice.violations.map(({ field }) => field)).toEqual(['parameters.passes']);
    const informed = await refusal(document('twin', { shared: 'fisher' }));
    expect(informed.violations.map(({ field }) => field)).toEqual(['parameters.shared']);
    const taken = await refusal(document('twin', { rank: 3 }), 'bank-desk');
    expect(taken.message).toMatch(/bank-desk is an expert for text-classification/);
  });

  it('registers nothing of parents whose texts cannot be told apart and who lose by it', async () => {
    const yaml = document('twin', { rank: 16, top: 1 }, ['same-as-bank', 'words-of-bank']);
    const error = await refusal(yaml);
    expect(error.code).toBe('COMPOSITION_REFUSED');
    expect(error.message).toMatch(/points of its normalised score/);
  });
});
