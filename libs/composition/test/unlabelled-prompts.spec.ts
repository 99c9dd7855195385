import { openBundle } from '@thalamus/bundle';
import { OrtRuntime, Tokenizer } from '@thalamus/inference';
import { openTrainingBase, type TrainingBase } from '@thalamus/training';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { makeComposition, openParent, type OpenedParent, type TaskParent } from '../src/index.js';
import { labelPrompts } from '../src/label-prompts.js';
import { PicoParts, textsOf, WORDS } from './pico-parts.js';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

let parts: PicoParts;
let parents: readonly [TaskParent, TaskParent];
let base: TrainingBase;
let opened: OpenedParent[];
const runtime = new OrtRuntime();
const prompts = [...textsOf(WORDS['cards']!, 80, 71), ...textsOf(WORDS['law']!, 80, 72)];
beforeAll(async () => {
  parts = await PicoParts.make();
  parents = [await parts.parent('cards', 3), await parts.parent('law', 5)];
  const readTokenizer = (json: Uint8Array) => Tokenizer.parse(json);
  base = await openTrainingBase(parts.at('base'), { runtime, threads: 1, readTokenizer });
  opened = await Promise.all(parents.map(({ folder }) => openParent(folder, base)));
});
afterAll(async () => {
  await runtime.close();
  await parts.remove();
});

describe('labelPrompts', () => {
  it('keeps the surest seven of ten, each once, whatever their order, case and spacing', async () => {
    const steps: number[] = [];
    const labelled = await labelPrompts(prompts, opened, base, (done) => steps.push(done));
    const different = new Set(prompts);
    expect(labelled.given).toBe(different.size);
    expect(labelled.kept).toBe(Math.ceil(0.7 * different.size));
    const all = labelled.texts.flat();
    expect(new Set(all).size).toBe(labelled.kept);
    expect(all.every((text) => different.has(text))).toBe(true);
    expect(steps.at(-1)).toBe(2 * different.size);
    const turned = [...prompts.toReversed(), ...prompts.map((text) => text.replace(' ', '  '))];
    const again = await labelPrompts(turned, opened, base, () => undefined);
    const plain = (texts: readonly string[]) => texts.map((text) => text.replaceAll(/\s+/g, ' ')).sort();
    expect(again.texts.map(plain)).toEqual(labelled.texts.map(plain));
  });

  it('refuses texts of which a parent gets too few, without quoting them', async () => {
    const work = labelPrompts(prompts.slice(0, 30), opened, base, () => undefined);
    await expect(work).rejects.toMatchObject({ code: 'DATASET_INVALID' });
    await expect(work).rejects.toThrow(
      /^Of 30 texts without labels (cards|law) is the surest of \d+, and a router needs 20 of each parent/,
    );
    await expect(work).rejects.not.toThrow(prompts[0]!);
  });
});

describe('a composition whose router is fitted to texts without labels', () => {
  it('needs no training rows, says how many texts it kept, and stores none of them', async () => {
    const bare = parents.map((parent) => ({ ...parent, train: [] }));
    const stages = new Set<string>();
    const task = parts.task(bare, { prompts });
    const { metrics, digest } = await makeComposition(task, runtime, ({ stage }) => stages.add(stage));
    expect(stages).toContain('prompts');
    expect(metrics['prompts_kept']).toBeCloseTo(0.7, 2);
    // Judged on rows whose task is known, which nothing was fitted to.
    expect(metrics['router_accuracy']).toBeGreaterThan(0);
    expect(metrics['parity_max_abs']).toBeLessThan(1e-4);
    const bundle = await openBundle(task.outputFolder);
    const routed = bundle.manifest.trainingData.slice(-2);
    expect(routed.map(({ name }) => name)).toEqual(Array(2).fill('router: texts without labels'));
    const report = Buffer.from(await bundle.readFile('composition.json')).toString('utf8');
    for (const text of prompts) {
      expect(JSON.stringify(bundle.manifest)).not.toContain(text);
      expect(report).not.toContain(text);
    }
    const turned = parts.task(bare, { prompts: prompts.toReversed(), outputFolder: parts.at('turned') });
    expect(turned.recipe).toBe(task.recipe);
    expect((await makeComposition(turned, runtime, () => undefined)).digest).toBe(digest);
    expect(parts.task(bare, { prompts: prompts.slice(1) }).recipe).not.toBe(task.recipe);
  });

  it('is refused by a method that chooses a parent, and of texts that are empty or too many', () => {
    const wanted = (method: string, given: readonly string[]) => () =>
      parts.task(parents, { method, prompts: given });
    expect(wanted('switch', prompts)).toThrow(/recipe\.prompts cannot be given to switch/);
    expect(wanted('twin', ['a', ' '])).toThrow(/recipe\.prompts\[1\] is empty/);
    expect(wanted('twin', Array(20_001).fill('a'))).toThrow(/are 20001, and at most 20000/);
    expect(wanted('twin', ['a'.repeat(4 * 2 ** 20 + 1)])).toThrow(/more than 4194304 characters/);
  });
});
