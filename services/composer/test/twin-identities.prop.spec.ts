import { ChildProcessRuntime, type InferenceRuntime } from '@thalamus/inference';
import { parentLogits, parentProbabilities, type MergeParent } from '@thalamus/model-merge';
import { encodeModel } from '@thalamus/onnx-graph';
import { asFloat32, createRandom, softmax } from '@thalamus/tensor';
import { PICO_CONFIG, picoEncoder, picoHead, picoId } from '@thalamus/testing';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { askTwin, sureOf, tokenFeeds } from './ask-twin.js';

// Many graphs in a process on a machine that may be busy: a bound against hanging, not a promise.
vi.setConfig({ testTimeout: 120_000 });

const WIDTH = PICO_CONFIG.hiddenSize;
const TOKENS = ['card', 'lost', 'law', 'court', 'hello', 'world', 'money', 'block', 'my', 'it'].map(picoId);
const PROPERTY = { seed: 20261125, numRuns: 8 } as const;
const base = picoEncoder(1, { kind: 'int8', blockSize: 16 });

const parentArbitrary = (name: string) =>
  fc
    .record({
      labels: fc.uniqueArray(fc.constantFrom('yes', 'no', 'maybe', 'card', 'law'), { minLength: 2 }),
      seed: fc.nat(1000),
    })
    .map(({ labels, seed }): MergeParent => ({
      name,
      labels,
      head: picoHead(labels.length, seed),
      router: picoHead(1, seed + 5000),
    }));
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

const ask = (
  parents: readonly MergeParent[],
  texts: readonly (readonly number[])[],
  tasks?: readonly number[],
) => askTwin(runtime, { base, parents }, texts, tasks);

/** Values of a parent at the places of its labels in the union, `absent` elsewhere. */
function spread(
  values: readonly number[],
  parent: MergeParent,
  union: readonly string[],
  absent: number,
): number[] {
  return union.map((label) => {
    const at = parent.labels.indexOf(label);
    return at < 0 ? absent : values[at]!;
  });
}

describe('a twin graph in ONNX Runtime', () => {
  it('is exactly the parent that a one-hot router chooses, and the one that is named', async () => {
    await fc.assert(
      fc.asyncProperty(parentsArbitrary, textsArbitrary, fc.nat(3), async (parents, texts, pick) => {
        const chosen = parents[pick % parents.length]!;
        const sure = await ask(sureOf(parents, chosen.name), texts);
        const index = sure.graph.parents.indexOf(chosen.name);
        expect(sure.rows('router_weights')).toEqual(
          texts.map(() => sure.graph.parents.map((name) => (name === chosen.name ? 1 : 0))),
        );
        const named = await ask(
          parents,
          texts,
          texts.map(() => index),
        );
        for (const answer of [sure, named]) {
          expect(answer.whole('parent')).toEqual(texts.map(() => index));
          const own = answer.rows(parentLogits(chosen.name));
          const probabilities = answer.rows(parentProbabilities(chosen.name));
          expect(answer.rows('logits')).toEqual(
            own.map((row) => spread(row, chosen, answer.graph.labels, -1e9)),
          );
          answer.rows('scores').forEach((row, at) => {
            const expected = spread(probabilities[at]!, chosen, answer.graph.labels, 0);
            row.forEach((score, label) => expect(score).toBeCloseTo(expected[label]!, 6));
            expect(row.filter((_, label) => !chosen.labels.includes(answer.graph.labels[label]!))).toSatisfy(
              (others: number[]) => others.every((score) => score === 0),
            );
          });
          const best = own.map((row) => chosen.labels[row.indexOf(Math.max(...row))]);
          expect(answer.whole('label').map((label) => answer.graph.labels[label])).toEqual(best);
        }
        expect(sure.rows('logits')).toEqual(named.rows('logits'));
      }),
      PROPERTY,
    );
  });

  it('is that parent alone when there is one: base, head and softmax', async () => {
    await fc.assert(
      fc.asyncProperty(parentArbitrary('only'), textsArbitrary, async (parent, texts) => {
        const alone = await runtime.load({ bytes: encodeModel(base) });
        const { input_ids, attention_mask } = tokenFeeds(texts);
        const { data } = asFloat32(
          (await alone.run({ input_ids, attention_mask }))['embedding'],
          'embedding',
        );
        await alone.release();
        const one = await ask([parent], texts);
        expect(one.graph.labels).toEqual(parent.labels);
        expect(one.rows('router_weights')).toEqual(texts.map(() => [1]));
        one.rows('scores').forEach((row, at) => {
          const vector = data.subarray(at * WIDTH, (at + 1) * WIDTH);
          const logits = parent.labels.map((_, label) =>
            vector.reduce(
              (sum, x, j) => sum + x * parent.head.weights[label * WIDTH + j]!,
              parent.head.bias[label]!,
            ),
          );
          softmax(logits).forEach((expected, label) => expect(row[label]).toBeCloseTo(expected, 5));
        });
      }),
      PROPERTY,
    );
  });

  it('weighs parents by the softmax of the router, follows the largest weight, and does not care for their order', async () => {
    await fc.assert(
      fc.asyncProperty(parentsArbitrary, textsArbitrary, async (parents, texts) => {
        const forth = await ask(parents, texts);
        const back = await ask([...parents].reverse(), texts);
        for (const name of ['router_weights', 'logits', 'scores'])
          expect(back.rows(name)).toEqual(forth.rows(name));
        forth.rows('router_weights').forEach((weights, row) => {
          expect(weights.reduce((sum, weight) => sum + weight, 0)).toBeCloseTo(1, 5);
          expect(forth.whole('parent')[row]).toBe(weights.indexOf(Math.max(...weights)));
        });
      }),
      PROPERTY,
    );
  });

  it('decides every row of a mixed batch on its own', async () => {
    const random = createRandom(4);
    const names = ['a', 'b', 'c'];
    const parents = names.map((name, index): MergeParent => ({
      name,
      labels: ['same', `own-${name}`],
      head: picoHead(2, index),
      router: picoHead(1, 100 + index),
    }));
    const texts = Array.from({ length: 12 }, () =>
      Array.from({ length: 1 + random.below(8) }, () => TOKENS[random.below(TOKENS.length)]!),
    );
    const tasks = texts.map((_, row) => (row % 4) - 1);
    const together = await ask(parents, texts, tasks);
    expect(together.graph.labels).toEqual(['same', 'own-a', 'own-b', 'own-c']);
    expect(together.whole('parent').filter((_, row) => tasks[row]! >= 0)).toEqual(
      tasks.filter((task) => task >= 0),
    );
    for (const row of [0, 1, 2, 7]) {
      const single = await ask(parents, [texts[row]!], [tasks[row]!]);
      expect(single.whole('parent')[0]).toBe(together.whole('parent')[row]);
      single
        .rows('scores')[0]!
        .forEach((score, label) => expect(score).toBeCloseTo(together.rows('scores')[row]![label]!, 5));
    }
  });
});
