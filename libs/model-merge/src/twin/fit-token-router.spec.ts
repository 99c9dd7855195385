import { createRandom, type Random } from '@thalamus/tensor';
import { describe, expect, it } from 'vitest';
import { fitTokenRouter, type FitTokenRouter } from './fit-token-router.js';
import { scoreRouter, type RouterRow } from './score-router.js';
import { routerLogits, softmaxInPlace, type TokenRouter } from './token-router.js';

const VOCABULARY = 40;
const WIDTH = 6;
const [FIRST, LAST] = [2, 3];

const normals = (random: Random, length: number) => Float32Array.from({ length }, () => random.normal());
const embeddings = { data: normals(createRandom(1), VOCABULARY * WIDTH), shape: [VOCABULARY, WIDTH] };

/** A text of some tokens of a range, between the special ones. */
function text(random: Random, from: number, to: number): number[] {
  const length = 2 + random.below(6);
  return [FIRST, ...Array.from({ length }, () => from + random.below(to - from)), LAST];
}

/** Rows of two parents, whose tokens overlap by a third. */
function separable(count: number, seed: number): RouterRow[] {
  const random = createRandom(seed);
  return Array.from({ length: count }, (_, at) => {
    const parent = at % 2;
    return { parent, ids: parent === 0 ? text(random, 4, 20) : text(random, 14, 30) };
  });
}

/** The same texts, whose parents say nothing about them. */
function noise(count: number, seed: number): RouterRow[] {
  const random = createRandom(seed + 1_000);
  return separable(count, seed).map((row) => ({ ...row, parent: random.below(2) }));
}

/** Rows that only the order of two tokens tells apart. */
function ordered(count: number, seed: number): RouterRow[] {
  const random = createRandom(seed);
  return Array.from({ length: count }, (_, at) => {
    const parent = at % 2;
    const filler = 10 + random.below(4);
    return { parent, ids: [FIRST, filler, ...(parent === 0 ? [30, 31] : [31, 30]), filler, LAST] };
  });
}

const fit = (rows: readonly RouterRow[], more: Partial<FitTokenRouter> = {}) =>
  fitTokenRouter(rows, {
    parents: 2,
    embeddings,
    validation: separable(60, 2),
    buckets: 1_009,
    epochs: 6,
    rate: 0.5,
    seed: 5,
    ...more,
  });

const accuracyOf = (router: TokenRouter, rows: readonly RouterRow[]) => scoreRouter(router, rows).accuracy;

describe('fitTokenRouter', () => {
  it('gives equal bits for an equal seed, others for another', () => {
    const rows = separable(80, 1);
    expect(fit(rows)).toEqual(fit(rows));
    expect(fit(rows, { seed: 6 }).router.words).not.toEqual(fit(rows).router.words);
  });

  it('tells two tasks apart on texts that it never saw, and scores itself on validation rows', () => {
    const validation = separable(60, 2);
    const { router, score } = fit(separable(400, 1), { validation });
    expect(accuracyOf(router, separable(400, 3))).toBeGreaterThan(0.93);
    expect(score).toEqual(scoreRouter(router, validation));
    expect(score.logLoss).toBeLessThan(0.25);
  });

  it('reads the order of neighbours, which single tokens do not show', () => {
    const { router } = fit(ordered(80, 1), { validation: ordered(40, 2) });
    expect(accuracyOf(router, ordered(200, 3))).toBe(1);
    const withoutPairs = { ...router, pairs: new Float32Array(router.pairs.length) };
    expect(accuracyOf(withoutPairs, ordered(200, 3))).toBeLessThan(0.6);
  });

  it('reads the vector of a text, where there is one', () => {
    const random = createRandom(9);
    const rows = (count: number, seed: number) =>
      noise(count, seed).map((row) => {
        const vector = normals(random, WIDTH);
        vector[0] = row.parent === 0 ? 2 : -2;
        return { ...row, vector };
      });
    const { router } = fit(rows(200, 1), { validation: rows(60, 2) });
    expect(router.vector).toHaveLength(2 * WIDTH);
    expect(accuracyOf(router, rows(200, 3))).toBeGreaterThan(0.95);
    expect(fit(noise(200, 1)).router).not.toHaveProperty('vector');
  });

  it('folds the layer on mean embeddings into a table: as many directions as the embeddings have', () => {
    const { router } = fit(separable(200, 1));
    // A table that is E D: each of its columns is a sum of the columns of E.
    const column = (parent: number) =>
      Float64Array.from({ length: VOCABULARY }, (_, id) => router.means[id * 2 + parent]!);
    const norm = Math.hypot(...column(0));
    expect(norm).toBeGreaterThan(1e-3);
    expect(Math.hypot(...residual(column(0)))).toBeLessThan(1e-5 * norm);
  });

  it('is sharp where validation bears it out, and as good as unsure where parents say nothing', () => {
    const clear = fit(separable(400, 1));
    const blurred = fit(noise(400, 1), { validation: noise(60, 2) });
    expect(clear.router.sharpness).toBeGreaterThanOrEqual(1);
    expect(blurred.router.sharpness).toBeLessThan(clear.router.sharpness);
    // Not to know is worth log 2; to be sure and wrong costs more.
    expect(blurred.score.logLoss).toBeLessThan(Math.log(2) + 0.02);
    const largest = noise(200, 3).map(({ ids }) =>
      Math.max(...softmaxInPlace(routerLogits(blurred.router, ids))),
    );
    expect(largest.reduce((sum, weight) => sum + weight, 0) / largest.length).toBeLessThan(0.65);
  });

  it('chooses by validation rows alone: no other sharpness loses less on them', () => {
    const validation = noise(30, 2).concat(separable(60, 4));
    const { router, score } = fit(separable(400, 1), { validation });
    for (const factor of [0.5, 0.7, 1.4, 2])
      expect(
        scoreRouter({ ...router, sharpness: router.sharpness * factor }, validation).logLoss,
      ).toBeGreaterThanOrEqual(score.logLoss);
  });

  it('scores parents that have validation rows, and none does not make the score NaN', () => {
    const validation = separable(60, 2).filter(({ parent }) => parent === 1);
    const { router, score } = fit(separable(400, 1), { validation });
    expect(score.accuracy).toBe(score.byParent[1]);
    expect(score.byParent[0]).toBeNaN();
    expect(score.logLoss).toBeGreaterThanOrEqual(0);
    expect(score.logLoss).toBeLessThan(1);
    expect(accuracyOf(router, separable(200, 3))).toBeGreaterThan(0.8);
  });

  it('tells of every pass, and stops where it is told to', () => {
    const told: [number, number][] = [];
    fit(separable(20, 1), { onEpoch: (done, total) => told.push([done, total]) });
    expect(told).toEqual([1, 2, 3, 4, 5, 6].map((done) => [done, 6]));
    const stop = (done: number) => {
      if (done === 2) throw new Error('stopped');
    };
    expect(() => fit(separable(20, 1), { onEpoch: stop })).toThrow('stopped');
  });
});

describe('scoreRouter', () => {
  it('weighs parents alike however many rows they have, and gives a tie to nobody', () => {
    const bias = Float32Array.of(1, 0);
    const table = () => new Float32Array(2 * VOCABULARY);
    const router: TokenRouter = {
      parents: 2,
      vocabulary: VOCABULARY,
      buckets: 7,
      words: table(),
      means: table(),
      pairs: new Float32Array(14),
      bias,
      sharpness: 1,
    };
    const rows = [0, 0, 0, 1].map((parent) => ({ parent, ids: [FIRST, 9, LAST] }));
    const right = 1 / (1 + Math.exp(-1));
    const score = scoreRouter(router, rows);
    expect([score.accuracy, ...score.byParent]).toEqual([0.5, 1, 0]);
    expect(score.logLoss).toBeCloseTo(-(Math.log(right) + Math.log(1 - right)) / 2, 6);
    bias.fill(0);
    expect(scoreRouter(router, rows).byParent).toEqual([0, 0]);
  });
});

/** What is left of a column [vocabulary] after its part in the span of the embeddings' columns. */
function residual(column: Float64Array): Float64Array {
  const basis: Float64Array[] = [];
  const without = (vector: Float64Array) =>
    basis.forEach((unit) => {
      const part = unit.reduce((sum, value, i) => sum + value * vector[i]!, 0);
      unit.forEach((value, i) => (vector[i]! -= part * value));
    });
  for (let i = 0; i < WIDTH; i++) {
    const vector = Float64Array.from({ length: VOCABULARY }, (_, id) => embeddings.data[id * WIDTH + i]!);
    without(vector);
    basis.push(vector.map((value) => value / Math.hypot(...vector)));
  }
  without(column);
  return column;
}
