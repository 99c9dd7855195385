import { OrtRuntime } from '@thalamus/inference';
import { createRandom, multiplyPlainly, truncatedSvd, type Matrix64 } from '@thalamus/tensor';
import { afterAll, describe, expect, it } from 'vitest';
import { openProducts } from '../src/index.js';

const runtime = new OrtRuntime();
const products = await openProducts(runtime, 1);
afterAll(async () => {
  await products.release();
  await runtime.close();
});

const random = createRandom(3);
const matrix = (rows: number, columns: number): Matrix64 => ({
  rows,
  columns,
  data: Float64Array.from({ length: rows * columns }, () => random.normal()),
});
const farthest = (a: Float64Array, b: Float64Array) =>
  a.reduce((most, value, at) => Math.max(most, Math.abs(value - b[at]!)), 0);

describe('products in the runtime', () => {
  it.each([
    [3, 5, 4],
    [1, 17, 33],
    [40, 1, 7],
  ])('are those of JavaScript, %i x %i x %i, turned and not', async (rows, inner, columns) => {
    const left = matrix(rows, inner);
    for (const [right, isTransposed] of [
      [matrix(inner, columns), false],
      [matrix(columns, inner), true],
    ] as const) {
      const found = await products.multiply(left, right, isTransposed);
      expect(found).toHaveLength(rows * columns);
      expect(farthest(found, await multiplyPlainly(left, right, isTransposed))).toBeLessThan(1e-12 * inner);
      expect(await products.multiply(left, right, isTransposed)).toEqual(found);
    }
  });

  it('decompose as those of JavaScript do', async () => {
    const given = matrix(60, 20);
    const [here, there] = [
      await truncatedSvd(given, 5, { seed: 2 }),
      await truncatedSvd(given, 5, { seed: 2, multiply: products.multiply }),
    ];
    expect(farthest(here.s, there.s)).toBeLessThan(1e-10);
    expect(farthest(here.u, there.u)).toBeLessThan(1e-8);
    expect(farthest(here.v, there.v)).toBeLessThan(1e-8);
  });
});
