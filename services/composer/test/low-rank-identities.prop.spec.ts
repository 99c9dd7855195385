import { ChildProcessRuntime, type InferenceRuntime } from '@thalamus/inference';
import {
  parentLogits,
  parentProbabilities,
  type LayerFactors,
  type MergeParent,
} from '@thalamus/model-merge';
import { buildBertEncoder, encodeModel } from '@thalamus/onnx-graph';
import { asFloat32, createRandom, softmax } from '@thalamus/tensor';
import { PICO_CONFIG, picoEncoder, picoFactors, picoHead, picoId, picoWeights } from '@thalamus/testing';
import { foldBranches } from '@thalamus/training';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { askTwin, sureOf, tokenFeeds, type Tokens } from './ask-twin.js';

// Many graphs in a process on a machine that may be busy: a bound against hanging, not a promise.
vi.setConfig({ testTimeout: 120_000 });

const WIDTH = PICO_CONFIG.hiddenSize;
const TOKENS = ['card', 'lost', 'law', 'court', 'hello', 'world', 'money', 'block', 'my', 'it'].map(picoId);
const PROPERTY = { seed: 20261128, numRuns: 6 } as const;
const TOLERANCE = 1e-4;
/** Float32, so that a parent alone can be the base with its branches folded into the weights, another way to the same. */
const base = picoEncoder(1);

/** Factors as bundles hold them. */
const rounded = (factors: readonly LayerFactors[]): LayerFactors[] =>
  factors.map((factor) => ({ ...factor, a: factor.a.map(Math.f16round), b: factor.b.map(Math.f16round) }));

interface Wish {
  readonly name: string;
  readonly labels: readonly string[];
  readonly seed: number;
  /** 0: a probe. */
  readonly rank: number;
}

function parentOf({ name, labels, seed, rank }: Wish): MergeParent {
  const branches = { factors: rounded(picoFactors(rank, seed)), scale: 1.5 };
  return {
    name,
    labels,
    // Soft enough that small errors of logits show in the probabilities.
    head: mapped(picoHead(labels.length, seed), (value) => value / 10),
    router: picoHead(1, seed + 5000),
    ...(rank > 0 ? { branches } : {}),
  };
}

const mapped = ({ weights, bias }: MergeParent['head'], change: (value: number) => number) => ({
  weights: weights.map(change),
  bias: bias.map(change),
});

const parentArbitrary = (name: string) =>
  fc
    .record({
      name: fc.constant(name),
      labels: fc.uniqueArray(fc.constantFrom('yes', 'no', 'maybe', 'card', 'law'), { minLength: 2 }),
      seed: fc.nat(1000),
      rank: fc.constantFrom(0, 1, 2, 5, 16),
    })
    .map(parentOf);
const parentsArbitrary = fc
  .subarray(['a', 'b', 'c', 'd'], { minLength: 2 })
  .chain((names) => fc.tuple(...names.map(parentArbitrary)));
const textsArbitrary = fc.array(fc.array(fc.constantFrom(...TOKENS), { minLength: 1, maxLength: 9 }), {
  minLength: 1,
  maxLength: 5,
});

let runtime: InferenceRuntime;
beforeAll(() => {
  runtime = new ChildProcessRuntime();
});
afterAll(() => runtime.close());

const ask = (parents: readonly MergeParent[], texts: readonly Tokens[], tasks?: readonly number[]) =>
  askTwin(runtime, { base, parents }, texts, tasks);

/** Probabilities of a parent by itself. */
async function alone({ head, labels, branches }: MergeParent, texts: readonly Tokens[]): Promise<number[][]> {
  const { factors, scale } = branches ?? { factors: [], scale: 0 };
  const weights = foldBranches(picoWeights(1), factors, scale);
  const model = buildBertEncoder(PICO_CONFIG, weights, { kind: 'float32' });
  const session = await runtime.load({ bytes: encodeModel(model) });
  try {
    const { data } = asFloat32((await session.run(tokenFeeds(texts)))['embedding'], 'embedding');
    return texts.map((_, row) => {
      const vector = data.subarray(row * WIDTH, (row + 1) * WIDTH);
      const logits = labels.map((_label, label) =>
        vector.reduce((sum, x, j) => sum + x * head.weights[label * WIDTH + j]!, head.bias[label]!),
      );
      return [...softmax(logits)];
    });
  } finally {
    await session.release();
  }
}

const distance = (a: readonly number[], b: readonly number[]) =>
  Math.max(...a.map((value, index) => Math.abs(value - b[index]!)));

type Answer = Awaited<ReturnType<typeof ask>>;

/** Each row has the scores of the parent that answered it, alone, and nothing for other labels. */
async function expectParents(answer: Answer, parents: readonly MergeParent[], texts: readonly Tokens[]) {
  const sorted = answer.graph.parents.map((name) => parents.find((parent) => parent.name === name)!);
  const expected = await Promise.all(sorted.map((parent) => alone(parent, texts)));
  const chosen = answer.whole('parent');
  answer.rows('scores').forEach((row, at) => {
    const parent = sorted[chosen[at]!]!;
    const own = expected[chosen[at]!]![at]!;
    const spread = answer.graph.labels.map((label) => own[parent.labels.indexOf(label)] ?? 0);
    expect(distance(spread, row)).toBeLessThan(TOLERANCE);
  });
  return { sorted, expected, chosen };
}

describe('a twin graph with low-rank parents in ONNX Runtime', () => {
  it('is the parent that a one-hot router chooses, and the one that is named, whatever the ranks', async () => {
    await fc.assert(
      fc.asyncProperty(parentsArbitrary, textsArbitrary, fc.nat(3), async (parents, texts, pick) => {
        const chosen = parents[pick % parents.length]!;
        const sure = await ask(sureOf(parents, chosen.name), texts);
        const index = sure.graph.parents.indexOf(chosen.name);
        const tasks = texts.map(() => index);
        const named = await ask(parents, texts, tasks);
        for (const answer of [sure, named]) {
          expect(answer.whole('parent')).toEqual(tasks);
          await expectParents(answer, parents, texts);
        }
        expect(sure.rows('logits')).toEqual(named.rows('logits'));
      }),
      PROPERTY,
    );
  });

  it('chooses by the plain embedding: as a graph of probes with the same router', async () => {
    await fc.assert(
      fc.asyncProperty(parentsArbitrary, textsArbitrary, async (parents, texts) => {
        const mixed = await ask(parents, texts);
        const probes = await ask(
          parents.map((parent) => ({ ...parent, branches: undefined })),
          texts,
        );
        expect(mixed.whole('parent')).toEqual(probes.whole('parent'));
        mixed
          .rows('router_weights')
          .forEach((row, at) => expect(distance(row, probes.rows('router_weights')[at]!)).toBeLessThan(1e-5));
      }),
      PROPERTY,
    );
  });

  it('decides every row of a batch of all parents, named and routed, on its own', async () => {
    const random = createRandom(4);
    const wish = { labels: ['same', 'other'] };
    const parents = [0, 3, 16, 0, 8].map((rank, index) =>
      parentOf({ ...wish, name: `p${index}`, seed: index, rank }),
    );
    const texts = Array.from({ length: 18 }, () =>
      Array.from({ length: 1 + random.below(8) }, () => TOKENS[random.below(TOKENS.length)]!),
    );
    const tasks = texts.map((_, row) => (row % 6) - 1);
    const together = await ask(parents, texts, tasks);
    const { sorted, expected, chosen } = await expectParents(together, parents, texts);
    expect(chosen.filter((_, row) => tasks[row]! >= 0)).toEqual(tasks.filter((task) => task >= 0));
    for (const row of [0, 1, 2, 5, 6]) {
      const single = await ask(parents, [texts[row]!], [tasks[row]!]);
      expect(single.whole('parent')[0]).toBe(chosen[row]);
      expect(distance(single.rows('scores')[0]!, together.rows('scores')[row]!)).toBeLessThan(TOLERANCE);
    }
    // Probes say what they think of every row, others of their own rows only.
    sorted.forEach(({ name, branches, labels }, parent) => {
      const logits = together.rows(parentLogits(name));
      together.rows(parentProbabilities(name)).forEach((row, at) => {
        const isGiven = !branches || chosen[at] === parent;
        const zeros = labels.map(() => 0);
        expect(distance(isGiven ? expected[parent]![at]! : zeros, row)).toBeLessThan(
          isGiven ? TOLERANCE : 1e-30,
        );
        if (!isGiven) expect(logits[at]).toEqual(labels.map(() => Math.fround(-1e9)));
      });
    });
    // The branches matter: the same heads on the base alone say something else.
    const plain = await alone({ ...sorted[2]!, branches: undefined }, texts);
    expect(Math.max(...plain.map((row, at) => distance(row, expected[2]![at]!)))).toBeGreaterThan(0.01);
  });

  it('is that parent alone when there is one', async () => {
    const only = parentOf({ name: 'only', labels: ['a', 'b', 'c'], seed: 9, rank: 4 });
    const texts = [[TOKENS[0]!, TOKENS[3]!], [TOKENS[5]!]];
    await expectParents(await ask([only], texts), [only], texts);
  });
});
