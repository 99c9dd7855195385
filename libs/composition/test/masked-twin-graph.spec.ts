import { OrtRuntime } from '@thalamus/inference';
import { buildMaskedTwinGraph, type MaskedTwinInput } from '@thalamus/model-merge';
import {
  buildBertEncoder,
  encodeModel,
  type MixedHead,
  type Mixture,
  type Storage,
  type Weights,
} from '@thalamus/onnx-graph';
import { softmax } from '@thalamus/tensor';
import { PICO_CONFIG, picoFactors, picoId, picoMaskedLmHead } from '@thalamus/testing';
import {
  foldBranches,
  maskedLmGraph,
  MaskedLmModel,
  transposed,
  withHead,
  type MaskedRow,
} from '@thalamus/training';
import { afterAll, describe, expect, it } from 'vitest';
import {
  ComposedMaskedLm,
  largestMaskedGap,
  materialiseHead,
  mixedWeights,
  OPEN_TASK,
  PARITY_TOLERANCE,
  type MaskedAnswer,
  type MixingRule,
} from '../src/index.js';
import { farthest, mixtureOf, picoShared, picoTexts, randomRouter, tuned } from './pico-twin.js';

const runtime = new OrtRuntime();
afterAll(() => runtime.close());

const shared = picoShared();
const { hiddenSize } = PICO_CONFIG;
const NAMES = ['clinical', 'code', 'law'];
/** Branches beside the linear layers alone, as those of trained masked language models. */
const parents = NAMES.map((name, at) => ({
  name,
  weights: foldBranches(shared, picoFactors(4, 50 + at), 0.5),
  head: headOf(60 + at),
}));
const COUNT = parents.length;
const full = await mixtureOf(shared, parents, { kind: 'rank', rank: 64 });
const mixture: Mixture = {
  ...full,
  matrices: new Map([...full.matrices].filter(([, all]) => all.some(({ rank }) => rank > 0))),
  vectors: new Map(),
};
const NONE = { parents: COUNT, matrices: new Map(), vectors: new Map() };
const GROUPS = Float32Array.of(0.8, 0.1, 0.1, 0.1, 0.8, 0.1, 0.3, 0.3, 0.4);

function headOf(seed: number): MixedHead {
  const { dense, ...rest } = picoMaskedLmHead(seed);
  return { ...rest, dense: transposed(dense, hiddenSize, hiddenSize) };
}

/** Rows of several lengths with one to three hidden places. */
const rows: MaskedRow[] = picoTexts(6, 9).map((ids, at) => {
  const long = [...ids, picoId('law'), picoId('card'), picoId('money')];
  const positions = [...new Set([1, 1 + (at % 3), long.length - 1])].filter((place) => place < long.length);
  const hidden = long.with(positions[0]!, picoId('[MASK]'));
  return { ids: hidden, positions, labels: positions.map((place) => long[place]!) };
});
/** Named ones among open ones, every parent once. */
const tasks = [OPEN_TASK, OPEN_TASK, 0, OPEN_TASK, 1, 2];

const graphOf = (
  more: Partial<MaskedTwinInput>,
  storage: Storage = { kind: 'float32' },
  of: Weights = shared,
) =>
  buildMaskedTwinGraph({
    encoder: buildBertEncoder(PICO_CONFIG, of, storage),
    router: randomRouter(11, COUNT, false),
    abstainBelow: 0.4,
    parents,
    ...more,
  });

/** What a graph says of all rows in one batch, and of each of them alone. */
async function answersOf({ model }: ReturnType<typeof graphOf>) {
  const composed = await ComposedMaskedLm.open(runtime, encodeModel(model), 1);
  try {
    const together = await composed.answer(rows, tasks);
    const alone: MaskedAnswer[] = [];
    for (const [at, row] of rows.entries()) alone.push(...(await composed.answer([row], [tasks[at]!])));
    return { together, alone };
  } finally {
    await composed.release();
  }
}

const gapOf = (answers: readonly MaskedAnswer[], rule: MixingRule, of = mixture, weights: Weights = shared) =>
  largestMaskedGap(
    rows.map((row, at) => ({
      row,
      task: tasks[at] === OPEN_TASK ? undefined : tasks[at],
      answer: answers[at]!,
    })),
    {
      runtime,
      threads: 1,
      config: PICO_CONFIG,
      shared: weights,
      mixture: of,
      rule,
      heads: parents.map(({ head }) => head),
    },
  );

const placesOf = (answers: readonly MaskedAnswer[]) =>
  answers.flatMap(({ logits }) => logits.flatMap((row) => [...softmax(row)]));

describe('a masked twin graph in ONNX Runtime', () => {
  it.each([
    ['all parents', {}],
    ['one parent', { top: 1 }],
    ['two parents', { top: 2 }],
    ['two parents, in groups', { top: 2, groups: GROUPS }],
  ])('is the merged model of %s, head and all, in one batch and each row alone', async (_, rule) => {
    const graph = graphOf({ mixture, ...rule });
    expect(graph).toMatchObject({ parents: NAMES, labels: [] });
    const { together: answers, alone } = await answersOf(graph);
    expect(answers.map(({ logits }) => logits.length)).toEqual(rows.map(({ positions }) => positions.length));
    expect(await gapOf(answers, rule)).toBeLessThan(PARITY_TOLERANCE);
    // Rows really are of several parents: one parent's weights would be another answer.
    const ofNobody = await gapOf(answers, rule, NONE);
    expect(ofNobody).toBeGreaterThan(100 * PARITY_TOLERANCE);
    expect(farthest(placesOf(alone), placesOf(answers))).toBeLessThan(PARITY_TOLERANCE);
  });

  it('of a static merge mixes the heads alone', async () => {
    const answers = (await answersOf(graphOf({}))).together;
    expect(await gapOf(answers, {}, NONE)).toBeLessThan(PARITY_TOLERANCE);
  });

  it('mixes biases and norms that parents changed', async () => {
    const changed = parents.map((parent, at) => ({
      ...parent,
      weights: new Map(
        [...tuned(shared, 70 + at, 0.05)].map(([name, value]) =>
          name.includes('word_embeddings') ? [name, shared.get(name)!] : [name, value],
        ),
      ),
    }));
    const { matrices, ...rest } = await mixtureOf(shared, changed, { kind: 'rank', rank: 4 });
    const of = {
      ...rest,
      matrices: new Map([...matrices].filter(([, all]) => all.some(({ rank }) => rank > 0))),
    };
    expect(await gapOf((await answersOf(graphOf({ mixture: of }))).together, {}, of)).toBeLessThan(
      PARITY_TOLERANCE,
    );
  });

  it.each<[string, Storage]>([
    ['float16', { kind: 'float16' }],
    ['int8', { kind: 'int8', blockSize: 16 }],
  ])('stored as %s is the plain model of that storage', async (_, storage) => {
    const encoder = buildBertEncoder(PICO_CONFIG, shared, storage);
    const answers = (await answersOf(graphOf({ encoder }))).together;
    const heads = parents.map(({ head }) => head);
    for (const [at, row] of rows.entries()) {
      const { weights, logits } = answers[at]!;
      const head = materialiseHead(heads, mixedWeights(weights, {}, tasks[at]));
      const plain = maskedLmGraph(PICO_CONFIG, withHead(shared, head), storage);
      const model = await MaskedLmModel.open(runtime, plain, new Set(), 1);
      const { data } = await model.logits([row]);
      await model.release();
      const size = data.length / logits.length;
      logits.forEach((own, place) => {
        const truth = softmax(data.subarray(place * size, (place + 1) * size));
        expect(farthest(softmax(own), truth)).toBeLessThan(PARITY_TOLERANCE);
      });
    }
  });

  it('refuses a router of two rounds, words that a parent changes, and a head of another base', async () => {
    expect(() => graphOf({ router: randomRouter(11, COUNT, true) })).toThrow(/passes: 1/);
    const words = parents.map((parent, at) => ({ ...parent, weights: tuned(shared, 40 + at, 0.1) }));
    const ofWords = await mixtureOf(shared, words);
    expect(() => graphOf({ mixture: ofWords })).toThrow(/word embeddings/);
    const narrow = parents.map((parent, at) =>
      at === 1 ? { ...parent, head: { ...parent.head, bias: new Float32Array(3) } } : parent,
    );
    expect(() => graphOf({ parents: narrow })).toThrow(/head of parent 1 has 3 numbers in bias/);
  });
});
