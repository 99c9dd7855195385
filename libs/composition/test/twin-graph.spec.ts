import { OrtRuntime } from '@thalamus/inference';
import { PICO_CONFIG } from '@thalamus/testing';
import { afterAll, describe, expect, it } from 'vitest';
import { largestParityGap, PARITY_TOLERANCE, type MixingRule } from '../src/index.js';
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
  reorderedMixture,
  reorderedRouter,
  softmax,
} from './pico-twin.js';

const runtime = new OrtRuntime();
afterAll(() => runtime.close());

const shared = picoShared();
const parents = picoParents(shared);
const mixture = await mixtureOf(shared, parents);
const COUNT = parents.length;
const NONE = { parents: COUNT, matrices: new Map(), vectors: new Map() };
// Some near a parent, some between them, which are nearer though their product is smaller.
const GROUPS = Float32Array.of(
  0.9,
  0.05,
  0.05,
  0.1,
  0.8,
  0.1,
  0.05,
  0.15,
  0.8,
  0.4,
  0.3,
  0.3,
  0.3,
  0.35,
  0.35,
);

const texts = picoTexts(6, 5);
/** Named ones among open ones, every parent once. */
const tasks = [-1, -1, 0, -1, 1, 2];

const passes = [1, 2] as const;
const tops = [undefined, 1, 2];
const rules = passes.flatMap((pass) =>
  tops.flatMap((top) => [undefined, GROUPS].map((groups) => ({ pass, top, groups }))),
);
const nameOf = ({ pass, top, groups }: (typeof rules)[number]) =>
  `passes ${pass}, top ${top ?? 'all'}${groups ? ', in groups' : ''}`;
const routerOf = (pass: 1 | 2) => randomRouter(11, COUNT, pass === 2);

const parityOf = (
  rows: Parameters<typeof largestParityGap>[0],
  rule: MixingRule,
  labels: readonly string[],
  of = mixture,
) =>
  largestParityGap(rows, {
    runtime,
    threads: 1,
    config: PICO_CONFIG,
    shared,
    mixture: of,
    rule,
    parents,
    labels,
  });

describe('a twin graph in ONNX Runtime', () => {
  it.each(rules.map((rule) => ({ rule, name: nameOf(rule) })))(
    'does what materialised weights do, routed and named rows in one batch, and each row alone: $name',
    async ({ rule }) => {
      const router = routerOf(rule.pass);
      const graph = picoTwin(shared, { mixture, router, parents, ...rule });
      const answers = await asking(runtime, graph, async (composed) => {
        const together = await composed.answer(texts, tasks);
        for (const [at, { parent, label, abstains, weights, logits }] of together.entries()) {
          const [alone] = await composed.answer([texts[at]!], [tasks[at]!]);
          expect(alone).toMatchObject({ parent, label, abstains });
          expect(farthest(alone!.weights, weights)).toBeLessThan(1e-5);
          expect(farthest(softmax(alone!.logits), softmax(logits))).toBeLessThan(1e-4);
        }
        return together;
      });
      const rows = texts.map((ids, at) => ({
        ids,
        task: tasks[at]! < 0 ? undefined : tasks[at]!,
        answer: answers[at]!,
      }));
      expect(await parityOf(rows, rule, graph.labels)).toBeLessThan(PARITY_TOLERANCE);
      // Texts are mixed, and their answers hang on the mixture.
      const heaviest = (row: (typeof rows)[number]) => Math.max(...row.answer.weights);
      const [mixed] = rows
        .filter(({ task }) => task === undefined)
        .sort((one, other) => heaviest(one) - heaviest(other));
      expect(heaviest(mixed!)).toBeLessThan(0.7);
      expect(await parityOf([mixed!], rule, graph.labels, NONE)).toBeGreaterThan(0.01);
    },
  );

  it('mixes all parents where a text may have more than there are', async () => {
    const router = routerOf(1);
    const all = await ask(runtime, picoTwin(shared, { mixture, router, parents }), texts);
    for (const top of [COUNT, COUNT + 2])
      expect(await ask(runtime, picoTwin(shared, { mixture, router, parents, top }), texts)).toEqual(all);
  });

  it.each(passes)(
    'is one encoding for all where nothing is mixed, with a router of %i passes',
    async (pass) => {
      const router = routerOf(pass);
      const graph = picoTwin(shared, { router, parents });
      const answers = await ask(runtime, graph, texts, tasks);
      const rows = texts.map((ids, at) => ({ ids, task: undefined, answer: answers[at]! }));
      expect(await parityOf(rows, {}, graph.labels, NONE)).toBeLessThan(PARITY_TOLERANCE);
      // Every head reads that encoding, whoever is chosen.
      for (const { own } of answers)
        expect(own.map((row) => row.reduce((sum, value) => sum + value, 0))).toEqual(
          parents.map(() => expect.closeTo(1, 5) as number),
        );
    },
  );

  it('of full rank is the parent that is named: its own weights and its own head', async () => {
    const near = picoParents(shared, 0.02);
    const whole = await mixtureOf(shared, near, { kind: 'fraction', fraction: 1 });
    const graph = picoTwin(shared, { mixture: whole, router: routerOf(1), parents: near, top: 1 });
    const still = picoTwin(shared, { router: routerOf(1), parents: near });
    for (const [parent, { weights }] of near.entries()) {
      const named = texts.map(() => parent);
      const ofParent = async (of: typeof graph) =>
        (await ask(runtime, of, texts, named)).flatMap(({ own }) => [...own[parent]!]);
      const [composed, alone, unmoved] = [
        await ofParent(graph),
        await ofParent(picoTwin(weights, { router: routerOf(1), parents: near })),
        await ofParent(still),
      ];
      expect(farthest(composed, alone)).toBeLessThan(1e-3);
      expect(farthest(unmoved, alone)).toBeGreaterThan(0.01);
    }
  });

  it.each(passes)('does not care for the order of the parents, %i passes', async (pass) => {
    const router = routerOf(pass);
    const order = [2, 0, 1];
    const turned = {
      mixture: reorderedMixture(mixture, order),
      router: reorderedRouter(router, order),
      parents: order.map((at) => parents[at]!),
    };
    for (const top of [undefined, 2]) {
      const forth = picoTwin(shared, { mixture, router, parents, top });
      const back = picoTwin(shared, { ...turned, top });
      const given = await ask(runtime, forth, texts, tasks);
      const turnedTasks = tasks.map((task) => (task < 0 ? task : order.indexOf(task)));
      const others = await ask(runtime, back, texts, turnedTasks);
      given.forEach((answer, at) => {
        const other = others[at]!;
        expect(order[other.parent]).toBe(answer.parent);
        expect(back.labels[other.label]).toBe(forth.labels[answer.label]);
        const scores = softmax(other.logits);
        const moved = forth.labels.map((label) => scores[back.labels.indexOf(label)]!);
        expect(farthest(softmax(answer.logits), moved)).toBeLessThan(1e-4);
      });
    }
  });
});
