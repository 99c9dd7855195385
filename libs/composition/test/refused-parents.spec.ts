import { OrtRuntime } from '@thalamus/inference';
import type { BertConfig, Weights } from '@thalamus/onnx-graph';
import { tensor } from '@thalamus/tensor';
import { PICO_CONFIG, PICO_VOCABULARY } from '@thalamus/testing';
import { appendFile, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { makeComposition, type TaskParent } from '../src/index.js';
import { PicoParts, type TaskWishes } from './pico-parts.js';
import { tuned } from './pico-twin.js';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

let parts: PicoParts;
let good: TaskParent;
const runtime = new OrtRuntime();
beforeAll(async () => {
  parts = await PicoParts.make();
  good = await parts.parent('cards', 3);
});
afterAll(async () => {
  await runtime.close();
  await parts.remove();
});

const compose = (parents: readonly TaskParent[], wishes: TaskWishes = {}) =>
  makeComposition(parts.task(parents, wishes), runtime, () => undefined);
const left = async () => (await readdir(parts.folder)).sort();

/** Weights with one number of a tensor replaced. */
function spoiled(name: string, value: number): Weights {
  const weights = new Map(tuned(parts.base, 5, 0.1));
  const { shape, data } = weights.get(name)!;
  weights.set(name, tensor('float32', shape, Float32Array.from(data).fill(value, 3, 4)));
  return weights;
}

/** Weights with more rows in a table. */
function longer(name: string, rows: number): Weights {
  const weights = new Map(tuned(parts.base, 5, 0.1));
  const { shape, data } = weights.get(name)!;
  const values = new Float32Array(rows * shape[1]!);
  values.set(data.subarray(0, values.length));
  weights.set(name, tensor('float32', [rows, shape[1]!], values));
  return weights;
}

/** Weights of the first layer alone. */
function shallow(): { weights: Weights; config: BertConfig } {
  const weights = [...tuned(parts.base, 5, 0.1)].filter(([name]) => !name.startsWith('encoder.layer.1.'));
  return { weights: new Map(weights), config: { ...PICO_CONFIG, layers: 1 } };
}

const QUERY = 'encoder.layer.0.attention.self.query.weight';
const NORM = 'encoder.layer.1.output.LayerNorm.bias';
const VOCABULARY = PICO_VOCABULARY.length;

describe('twin refuses a parent', () => {
  it.each<[string, () => Promise<TaskParent>, RegExp]>([
    [
      'with NaN in a matrix',
      () => parts.parent('law', 11, { weights: spoiled(QUERY, NaN) }),
      /^law cannot be merged: its tensor encoder\.layer\.0\.attention\.self\.query\.weight holds NaN or infinity/,
    ],
    [
      'with infinity in a vector',
      () => parts.parent('law', 12, { weights: spoiled(NORM, Infinity) }),
      /^law cannot be merged: its tensor encoder\.layer\.1\.output\.LayerNorm\.bias holds NaN/,
    ],
    [
      'that changes nothing',
      () => parts.parent('law', 13, { weights: parts.base }),
      /^law cannot be a parent: its weights are those of pico, so that it brings nothing to merge/,
    ],
    [
      'without a layer',
      () => parts.parent('law', 14, shallow()),
      /^law cannot be merged: it has no tensor encoder\.layer\.1\..*Its architecture must be/,
    ],
    [
      'of another vocabulary',
      () =>
        parts.parent('law', 15, {
          weights: longer('embeddings.word_embeddings.weight', VOCABULARY + 2),
        }),
      new RegExp(
        `^law cannot be merged: its tensor embeddings\\.word_embeddings\\.weight has the shape \\[${VOCABULARY + 2}, 16\\] where the others have \\[${VOCABULARY}, 16\\]`,
      ),
    ],
    [
      'over another base',
      () =>
        parts.parent('law', 16, {
          manifest: { lineage: { parents: [{ name: 'large', version: '1', digest: good.digest }] } },
        }),
      /^law cannot be a parent: it stands on large sha256:\w+, not on pico sha256:\w+\. Train it on that base/,
    ],
  ])('%s, by its name, and writes nothing', async (_, bad, message) => {
    const parent = await bad();
    const before = await left();
    const work = compose([good, parent]);
    await expect(work).rejects.toMatchObject({ code: 'COMPOSITION_REFUSED' });
    await expect(work).rejects.toThrow(message);
    expect(await left()).toEqual(before);
  });

  it('whose bundle is gone or was changed', async () => {
    const gone = await parts.parent('law', 21);
    await rm(gone.folder, { recursive: true });
    await expect(compose([good, gone])).rejects.toMatchObject({ code: 'BUNDLE_INVALID' });
    await expect(compose([good, gone])).rejects.toThrow(gone.folder);
    const changed = await parts.parent('law', 22);
    await appendFile(join(changed.folder, 'model.onnx'), 'x');
    await expect(compose([good, changed])).rejects.toMatchObject({ code: 'BUNDLE_INVALID' });
    expect(await left()).not.toContain('made');
  });

  it('whose rows are too few, or all among those that judge', async () => {
    const law = await parts.parent('law', 23);
    const few = {
      ...law,
      train: [
        await parts.rows(
          'few.csv',
          Array.from({ length: 19 }, (_, at) => `please ${at}`),
        ),
      ],
    };
    await expect(compose([good, few])).rejects.toThrow(
      /^law has 19 training texts .*needs 20 of each parent/,
    );
    await expect(compose([good, { ...law, train: law.test }])).rejects.toThrow(/^law has 0 training texts/);
    const gone = { ...law, train: [{ ...law.train[0]!, path: parts.at('rows', 'nowhere.csv') }] };
    await expect(compose([good, gone])).rejects.toThrow(/nowhere\.csv/);
  });
});

describe('a recipe of twin', () => {
  const two = () => [good, good];
  const named = (...names: string[]) => names.map((name) => ({ ...good, name }));
  it.each<[string, () => readonly TaskParent[], TaskWishes, RegExp]>([
    ['no parent', () => [], {}, /models/],
    ['one parent', () => [good], {}, /models.*names 1 .*twin takes 2 to 64/],
    ['the same parent twice', two, {}, /models\[1\]\.model \(line 1\) names cards again/],
    ['a method that there is not', () => named('a', 'b'), { method: 'tweed' }, /"tweed" is unknown/],
    ['an unknown parameter', () => named('a', 'b'), { parameters: { rang: 2 } }, /rang/],
    ['a rank of nothing', () => named('a', 'b'), { parameters: { rank: 0 } }, /rank.*1 to 4096/],
    ['a rank that is no number', () => named('a', 'b'), { parameters: { rank: 'all' } }, /rank/],
    ['a share above 1', () => named('a', 'b'), { parameters: { coverage: 1.5 } }, /coverage.*0 to 1/],
    ['an unknown static merge', () => named('a', 'b'), { parameters: { shared: 'soup' } }, /task_arithmetic/],
  ])('with %s is refused before any work, and says what may be written', (_, parents, wishes, message) => {
    expect(() => parts.task(parents(), wishes)).toThrow(message);
    expect(() => parts.task(parents(), wishes)).toThrow(
      expect.objectContaining({ code: 'REQUEST_INVALID' }) as Error,
    );
  });

  afterEach(() => rm(parts.at('made'), { recursive: true, force: true }));
  it('of a rank above the sides of a matrix keeps all there is, and is exact', async () => {
    const law = await parts.parent('law', 5);
    const { metrics } = await compose([good, law], { parameters: { rank: 4096 } });
    expect(metrics['parity_max_abs']).toBeLessThan(1e-4);
    const whole = await compose([good, law], { outputFolder: parts.at('whole'), parameters: { rank: 16 } });
    expect(metrics['bytes']).toBe(whole.metrics['bytes']);
  });
});
