import { OrtRuntime, Tokenizer } from '@thalamus/inference';
import { routerLogits, softmaxInPlace, type TokenRouter } from '@thalamus/model-merge';
import { createRandom } from '@thalamus/tensor';
import { PICO_CONFIG, picoTokenizer } from '@thalamus/testing';
import { afterAll, describe, expect, it } from 'vitest';
import { fitRouter, ROUTER_DEFAULTS, type RouterSettings, type TaskTexts } from '../src/index.js';
import { picoShared } from './pico-twin.js';

const runtime = new OrtRuntime();
afterAll(() => runtime.close());

const shared = picoShared();
const tokens = Tokenizer.parse(picoTokenizer());
const SETTINGS: RouterSettings = { ...ROUTER_DEFAULTS, buckets: 509, epochs: 4 };
const PARTS = {
  shared,
  config: PICO_CONFIG,
  tokens,
  maxTokens: PICO_CONFIG.maxPositions,
  runtime,
  threads: 1,
  seed: 3,
};

/** Texts of a few words of a list, all different. */
function texts(words: readonly string[], count: number, seed: number): string[] {
  const random = createRandom(seed);
  const made = new Set<string>();
  while (made.size < count)
    made.add(Array.from({ length: 3 + random.below(3) }, () => words[random.below(words.length)]!).join(' '));
  return [...made];
}

const CARDS = ['my', 'card', 'lost', 'block', 'it', 'please'];
const LAW = ['the', 'law', 'court', 'it', 'please', 'money'];
const taskOf = (words: readonly string[], seed: number): TaskTexts => {
  const all = texts(words, 100, seed);
  return { train: all.slice(0, 60), validation: all.slice(60, 80), test: all.slice(80) };
};
const cards = taskOf(CARDS, 1);
const law = taskOf(LAW, 2);
const tasksOf = (first: TaskTexts, second: TaskTexts) =>
  new Map([
    ['cards', first],
    ['law', second],
  ]);

const fit = (tasks = tasksOf(cards, law), more: Partial<RouterSettings> = {}) =>
  fitRouter(tasks, { ...SETTINGS, ...more }, PARTS);

/** Weights of texts by a router of tokens. */
async function weightsOf(router: TokenRouter, given: readonly string[]): Promise<Float64Array[]> {
  const rows = await tokens.encode(given, PICO_CONFIG.maxPositions);
  return rows.map(({ ids }) => softmaxInPlace(routerLogits(router, ids)));
}

describe('fitRouter', () => {
  it('tells tasks apart on texts that it never saw; equal input, equal bits', async () => {
    const fitted = await fit();
    expect(await fit()).toEqual(fitted);
    expect(fitted.rows).toEqual([60, 60]);
    expect(fitted.validation.n).toBe(40);
    expect(fitted.validation.accuracy).toBeGreaterThan(0.85);
    const right = (await weightsOf(fitted.router, [...cards.test, ...law.test])).filter(
      (weights, at) => weights[at < cards.test.length ? 0 : 1]! > 0.5,
    );
    expect(right.length).toBeGreaterThan(34);
  });

  it('fits no text of a test split or of a validation split of any task, in whatever case and spacing', async () => {
    const loud = (all: readonly string[]) => all.map((text) => `  ${text.toUpperCase().replace(' ', '   ')}`);
    const [own, others] = [cards.train.slice(0, 5), cards.train.slice(5, 12)];
    expect((await fit(tasksOf({ ...cards, test: loud(own) }, law))).rows).toEqual([55, 60]);
    expect((await fit(tasksOf(cards, { ...law, test: [...law.test, ...loud(own)] }))).rows).toEqual([55, 60]);
    const chosen = { ...cards, validation: [...cards.validation, ...loud(others)] };
    const { rows, validation } = await fit(tasksOf(chosen, law));
    expect([...rows, validation.n]).toEqual([53, 60, 47]);
    const { rows: fitted } = await fit(tasksOf(cards, { ...law, validation: loud(others) }));
    expect(fitted).toEqual([53, 60]);
  });

  it('holds out a part of the training texts where a task has no others, and takes no more than it may', async () => {
    const { rows, validation } = await fit(tasksOf({ ...cards, validation: [] }, law));
    expect([...rows, validation.n]).toEqual([51, 60, 29]);
    expect((await fit(undefined, { rowsPerParent: 30 })).rows).toEqual([30, 30]);
    // Held out of all that there is, not out of what is taken.
    const few = await fit(tasksOf({ ...cards, validation: [] }, law), { rowsPerParent: 55 });
    expect([...few.rows, few.validation.n]).toEqual([51, 55, 29]);
  });

  it('refuses a task with too few texts by its name', async () => {
    const fitting = fit(tasksOf(cards, { ...law, test: law.train.slice(0, 45) }));
    await expect(fitting).rejects.toMatchObject({ code: 'DATASET_INVALID' });
    await expect(fitting).rejects.toThrow(/^law has 15 training texts that .*needs 20 of each parent/);
  });

  it('covers the share of the validation texts that is asked for', async () => {
    const all = [...cards.validation, ...law.validation];
    for (const coverage of [1, 0.9, 0.5]) {
      const { router, abstainBelow } = await fit(undefined, { coverage });
      const heaviest = (await weightsOf(router, all)).map((weights) => Math.max(...weights));
      const covered = heaviest.filter((weight) => weight >= abstainBelow).length;
      // Texts of equal weights are covered together.
      expect(covered).toBeGreaterThanOrEqual(coverage * all.length);
      const next = heaviest.filter((weight) => weight > abstainBelow).length;
      expect(next).toBeLessThan(coverage * all.length);
    }
  });

  it('gives groups that are weights: each sums to 1, also where fewer kinds of text are seen than asked for', async () => {
    const { groups } = await fit(undefined, { groups: 4 });
    const sums = (of: Float32Array) =>
      Array.from({ length: of.length / 2 }, (_, at) => of[2 * at]! + of[2 * at + 1]!);
    expect(sums(groups!)).toEqual([1, 1, 1, 1].map((one) => expect.closeTo(one, 5) as number));
    const kinds = new Set([0, 1, 2, 3].map((at) => groups!.subarray(2 * at, 2 * at + 2).join()));
    expect(kinds.size).toBe(4);
    // One unknown token each: to the tokenizer they are one text.
    const alike = { ...law, validation: ['日', '月', '山'] };
    const few = await fit(tasksOf({ ...cards, validation: ['水', '火'] }, alike), { groups: 4 });
    expect(sums(few.groups!)).toEqual([expect.closeTo(1, 5)]);
    expect((await fit()).groups).toBeUndefined();
  });

  it('reads the vector of the shared expert where the encoder is run twice', async () => {
    const { router, validation } = await fit(undefined, { passes: 2 });
    expect(router.vector).toHaveLength(2 * PICO_CONFIG.hiddenSize);
    expect(Math.max(...router.vector!.map(Math.abs))).toBeGreaterThan(0);
    expect(validation.accuracy).toBeGreaterThan(0.85);
    expect((await fit()).router).not.toHaveProperty('vector');
  });
});
