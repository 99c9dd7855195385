import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRandom } from './random.js';
import { truncatedSvd, type DenseMatrix, type TruncatedSvd } from './truncated-svd.js';

const sizes = fc.record({
  rows: fc.integer({ min: 1, max: 24 }),
  columns: fc.integer({ min: 1, max: 24 }),
  seed: fc.nat(1_000_000),
  /** Column j is multiplied by this to the power j: flat to steep spectra. */
  fall: fc.double({ min: 0.3, max: 1, noNaN: true }),
  share: fc.double({ min: 0, max: 1, noNaN: true }),
});

type Sizes = (typeof sizes extends fc.Arbitrary<infer T> ? T : never) & object;

const matrixOf = ({ rows, columns, seed, fall }: Sizes): DenseMatrix => {
  const random = createRandom(seed);
  const data = Float64Array.from(
    { length: rows * columns },
    (_, at) => random.normal() * fall ** (at % columns),
  );
  return { rows, columns, data };
};
const rankOf = ({ rows, columns, share }: Sizes) => 1 + Math.floor(share * (Math.min(rows, columns) - 1));

const product = ({ u, s, v }: TruncatedSvd, { rows, columns }: DenseMatrix) =>
  Float64Array.from({ length: rows * columns }, (_, at) => {
    const [row, column] = [Math.floor(at / columns), at % columns];
    return s.reduce((sum, x, k) => sum + x * u[row * s.length + k]! * v[column * s.length + k]!, 0);
  });
const norm = (values: Float64Array) => Math.hypot(...values);
const distance = (a: ArrayLike<number>, b: Float64Array) => norm(b.map((value, at) => value - a[at]!));

/** Squares of all singular values, falling: cyclic Jacobi rotations of A^T A on both sides. */
function squares({ rows, columns, data }: DenseMatrix): number[] {
  const gram = Array.from({ length: columns }, (_, i) =>
    Array.from({ length: columns }, (_, j) => {
      let sum = 0;
      for (let r = 0; r < rows; r++) sum += data[r * columns + i]! * data[r * columns + j]!;
      return sum;
    }),
  );
  for (let sweep = 0; sweep < 30; sweep++)
    for (let p = 0; p < columns; p++)
      for (let q = p + 1; q < columns; q++) {
        const angle = 0.5 * Math.atan2(2 * gram[p]![q]!, gram[q]![q]! - gram[p]![p]!);
        const [c, s] = [Math.cos(angle), Math.sin(angle)];
        for (let k = 0; k < columns; k++) {
          const [a, b] = [gram[k]![p]!, gram[k]![q]!];
          [gram[k]![p], gram[k]![q]] = [c * a - s * b, s * a + c * b];
        }
        for (let k = 0; k < columns; k++) {
          const [a, b] = [gram[p]![k]!, gram[q]![k]!];
          [gram[p]![k], gram[q]![k]] = [c * a - s * b, s * a + c * b];
        }
      }
  return gram.map((row, at) => Math.max(0, row[at]!)).toSorted((a, b) => b - a);
}

function expectOrthonormal(values: Float64Array, width: number): void {
  for (let i = 0; i < width; i++)
    for (let j = 0; j <= i; j++) {
      let sum = 0;
      for (let row = 0; row < values.length; row += width) sum += values[row + i]! * values[row + j]!;
      expect(Math.abs(sum - (i === j ? 1 : 0))).toBeLessThan(1e-10);
    }
}

function expectSound({ u, s, v }: TruncatedSvd): void {
  expectOrthonormal(u, s.length);
  expectOrthonormal(v, s.length);
  s.forEach((value, at) => {
    expect(value).toBeGreaterThanOrEqual(0);
    expect(value).toBeLessThanOrEqual(at === 0 ? Infinity : s[at - 1]!);
  });
}

describe('truncatedSvd', () => {
  it('has orthonormal columns, falling values, and at most 1.1 times the error of the best matrix of that rank', async () => {
    await fc.assert(
      fc.asyncProperty(sizes, async (given) => {
        const matrix = matrixOf(given);
        const rank = rankOf(given);
        const found = await truncatedSvd(matrix, rank, { seed: given.seed });
        expectSound(found);
        const all = squares(matrix);
        // Eckart and Young 1936: no matrix of this rank is nearer than the root of the other squares' sum.
        const best = Math.sqrt(all.slice(rank).reduce((sum, x) => sum + x, 0));
        const size = Math.sqrt(all.reduce((sum, x) => sum + x, 0));
        expect(distance(matrix.data, product(found, matrix))).toBeLessThanOrEqual(1.1 * best + 1e-7 * size);
        found.s.forEach((value, at) => {
          expect(value).toBeLessThanOrEqual(Math.sqrt(all[at]!) + 1e-7 * size);
        });
      }),
    );
  });

  it('gives a matrix of the rank, or of less, back', async () => {
    await fc.assert(
      fc.asyncProperty(sizes, fc.integer({ min: 0, max: 24 }), async (given, less) => {
        const { rows, columns } = given;
        const rank = rankOf(given);
        const inner = Math.max(0, rank - less);
        const random = createRandom(given.seed);
        const values = (length: number) => Float64Array.from({ length }, () => random.normal());
        const [left, right] = [values(rows * inner), values(columns * inner)];
        const data = Float64Array.from({ length: rows * columns }, (_, at) => {
          const [row, column] = [Math.floor(at / columns), at % columns];
          let sum = 0;
          for (let k = 0; k < inner; k++) sum += left[row * inner + k]! * right[column * inner + k]!;
          return sum;
        });
        const found = await truncatedSvd({ rows, columns, data }, rank, { seed: 1 });
        expectSound(found);
        expect(distance(data, product(found, { rows, columns, data }))).toBeLessThanOrEqual(
          1e-9 * norm(data),
        );
      }),
    );
  });

  it('gives the same bits for a seed, and takes values of any size', async () => {
    const matrix = matrixOf({ rows: 20, columns: 30, seed: 3, fall: 0.9, share: 0 });
    const found = await truncatedSvd(matrix, 4, { seed: 7 });
    expect(await truncatedSvd(matrix, 4, { seed: 7 })).toEqual(found);
    for (const factor of [2 ** 900, 2 ** -900]) {
      const data = Float64Array.from(matrix.data, (value) => value * factor);
      const { s } = await truncatedSvd({ ...matrix, data }, 4, { seed: 7 });
      expect(s[0]! / factor).toBeCloseTo(found.s[0]!, 9);
    }
  });

  it.each([
    [{ rank: 3 }, /Rank 3 of a matrix \[2, 3\] must be a whole number from 1 to 2/],
    [{ rank: 0 }, /Rank 0/],
    [{ rank: 1.5 }, /Rank 1.5/],
    [{ data: [1, 2, 3, 4, NaN, 6] }, /NaN in row 1, column 1/],
    [{ data: [1, 2, Infinity, 4, 5, 6] }, /Infinity in row 0, column 2/],
    [{ data: [1, 2] }, /\[2, 3\] cannot hold 2 elements/],
    [{ options: { oversample: -1 } }, /oversample is -1/],
    [{ options: { powerIterations: 0.5 } }, /powerIterations is 0.5/],
  ])('refuses %j', async (wrong, message) => {
    const { rank, data, options } = { rank: 1, data: [1, 2, 3, 4, 5, 6], options: {}, ...wrong };
    const call = () => truncatedSvd({ rows: 2, columns: 3, data: new Float32Array(data) }, rank, options);
    await expect(call()).rejects.toThrow(message);
    await expect(call()).rejects.toThrow(expect.objectContaining({ code: 'TENSOR_INVALID' }) as Error);
  });
});
