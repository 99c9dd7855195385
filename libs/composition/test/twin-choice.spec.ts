import { OrtRuntime } from '@thalamus/inference';
import { routerLogits, softmaxInPlace, type TokenRouter } from '@thalamus/model-merge';
import { buildBertEncoder, encodeModel } from '@thalamus/onnx-graph';
import { asFloat32, decodeFloat16, encodeFloat16 } from '@thalamus/tensor';
import { PICO_CONFIG, PICO_VOCABULARY } from '@thalamus/testing';
import { tokenFeeds } from '@thalamus/training';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import {
  ask,
  asking,
  farthest,
  mixtureOf,
  picoParents,
  picoShared,
  picoTexts,
  picoTwin,
  randomRouter,
} from './pico-twin.js';

const runtime = new OrtRuntime();
afterAll(() => runtime.close());

const RUNS = { seed: 20261129, numRuns: 12 };
const shared = picoShared();
const parents = picoParents(shared);
const mixture = await mixtureOf(shared, parents);
const COUNT = parents.length;
const texts = picoTexts(8, 6);

/** The router with its tables as a graph stores them. */
function stored(router: TokenRouter): TokenRouter {
  const half = (table: Float32Array) => decodeFloat16(encodeFloat16(table));
  return { ...router, words: half(router.words), means: half(router.means), pairs: half(router.pairs) };
}

/** Vectors of the shared expert. */
async function sharedVectors(ids: readonly (readonly number[])[]): Promise<Float32Array[]> {
  const encoder = buildBertEncoder(PICO_CONFIG, shared, { kind: 'float32' });
  const session = await runtime.load({ bytes: encodeModel(encoder) });
  const feeds = tokenFeeds(ids, [...ids.keys()]);
  const { data } = asFloat32((await session.run(feeds))['embedding'], 'embedding');
  await session.release();
  const width = PICO_CONFIG.hiddenSize;
  return ids.map((_, row) => data.slice(row * width, (row + 1) * width));
}

describe('the router inside a twin graph', () => {
  const anyText = fc.array(fc.nat(PICO_VOCABULARY.length - 1), {
    minLength: 1,
    maxLength: PICO_CONFIG.maxPositions,
  });
  const batches = fc.oneof(
    fc.array(anyText, { minLength: 1, maxLength: 5 }),
    // Nothing but texts of one token: there is no pair at all.
    fc.array(
      anyText.map((ids) => ids.slice(0, 1)),
      { minLength: 1, maxLength: 3 },
    ),
  );

  it.each([
    { form: 'of tokens', hasVector: false, isMixed: true },
    { form: 'of tokens and the vector of a static merge', hasVector: true, isMixed: false },
    { form: 'of tokens and the vector of the first round', hasVector: true, isMixed: true },
  ])('$form weighs padded texts of any length as `routerLogits` does', async ({ hasVector, isMixed }) => {
    const router = randomRouter(3, COUNT, hasVector);
    const graph = picoTwin(shared, { router, parents, ...(isMixed ? { mixture, top: 2 } : {}) });
    await asking(runtime, graph, (composed) =>
      fc.assert(
        fc.asyncProperty(batches, async (ids) => {
          const answers = await composed.answer(ids);
          const vectors = hasVector ? await sharedVectors(ids) : [];
          answers.forEach(({ weights, parent }, row) => {
            const wanted = softmaxInPlace(routerLogits(stored(router), ids[row]!, vectors[row]));
            expect(farthest(weights, wanted)).toBeLessThan(1e-5);
            expect(parent).toBe(weights.indexOf(Math.max(...weights)));
          });
        }),
        RUNS,
      ),
    );
  });

  it('is what `routerLogits` says of tables that are not rounded, to what float16 holds', async () => {
    const router = randomRouter(3, COUNT, false);
    const answers = await ask(runtime, picoTwin(shared, { router, parents, mixture }), texts);
    answers.forEach(({ weights }, row) =>
      expect(farthest(weights, softmaxInPlace(routerLogits(router, texts[row]!)))).toBeLessThan(2e-3),
    );
  });
});

describe('who answers in a twin graph', () => {
  const router = randomRouter(11, COUNT, false);

  it('is the parent that is named, whatever the router says, which is said as well', async () => {
    const graph = picoTwin(shared, { mixture, router, parents, top: 2 });
    await asking(runtime, graph, async (composed) => {
      const open = await composed.answer(texts);
      for (let task = 0; task < COUNT; task++) {
        const named = await composed.answer(
          texts,
          texts.map(() => task),
        );
        expect(named.map(({ parent }) => parent)).toEqual(texts.map(() => task));
        expect(named.map(({ weights }) => weights)).toEqual(open.map(({ weights }) => weights));
        named.forEach(({ label, logits }) => {
          expect(parents[task]!.labels).toContain(graph.labels[label]);
          graph.labels.forEach((text, at) =>
            expect(logits[at]! < -1e8).toBe(!parents[task]!.labels.includes(text)),
          );
        });
      }
      expect(new Set(open.map(({ parent }) => parent)).size).toBeGreaterThan(1);
    });
  });

  it('says of parents that were not chosen nothing, unless all heads are to be read', async () => {
    const chosen = await ask(runtime, picoTwin(shared, { mixture, router, parents }), texts);
    const all = picoTwin(shared, { mixture, router, parents, readsAllHeads: true });
    const read = await ask(runtime, all, texts);
    chosen.forEach(({ own, parent, logits }, row) => {
      own.forEach((probabilities, at) => {
        const sum = probabilities.reduce((total, value) => total + value, 0);
        expect(sum).toBeCloseTo(at === parent ? 1 : 0, 5);
        expect(read[row]!.own[at]!.reduce((total, value) => total + value, 0)).toBeCloseTo(1, 5);
      });
      expect(farthest(own[parent]!, read[row]!.own[parent]!)).toBeLessThan(1e-6);
      expect(farthest(logits, read[row]!.logits)).toBeLessThan(1e-5);
    });
  });

  it('abstains below the threshold, and where a task is named as well', async () => {
    const heaviest = (await ask(runtime, picoTwin(shared, { mixture, router, parents }), texts)).map(
      ({ weights }) => Math.max(...weights),
    );
    const [least = 0, next = 0] = heaviest.toSorted((a, b) => a - b);
    for (const abstainBelow of [0, least, (least + next) / 2, 0.6, 1.1]) {
      const graph = picoTwin(shared, { mixture, router, parents, abstainBelow });
      const wanted = heaviest.map((weight) => weight < Math.fround(abstainBelow));
      const tasks = texts.map((_, row) => (row % 2 === 0 ? 1 : -1));
      for (const given of [undefined, tasks])
        expect((await ask(runtime, graph, texts, given)).map(({ abstains }) => abstains)).toEqual(wanted);
    }
    const counts = [0, least, (least + next) / 2, 1.1].map(
      (threshold) => heaviest.filter((weight) => weight < threshold).length,
    );
    expect(counts).toEqual([0, 0, 1, texts.length]);
  });

  it.each([COUNT, 1_000_000])('nobody, for a task that no parent has: %i', async (task) => {
    for (const top of [undefined, 1, 2]) {
      const graph = picoTwin(shared, { mixture, router, parents, top });
      await asking(runtime, graph, async (composed) => {
        await expect(composed.answer(texts, [task, ...texts.slice(1).map(() => -1)])).rejects.toMatchObject({
          code: 'INFERENCE_FAILED',
        });
        // The graph goes on serving.
        expect(await composed.answer(texts)).toHaveLength(texts.length);
      });
    }
  });
});
