import fc from 'fast-check';
import type { Instance } from '../central-differences.js';

/** Instances of one rule, of many shapes. */
export interface Case {
  readonly name: string;
  readonly instances: fc.Arbitrary<Instance>;
}

/** Sizes of 1 to 3. */
export const shapeOf = (minRank: number, maxRank: number): fc.Arbitrary<number[]> =>
  fc.array(fc.integer({ min: 1, max: 3 }), { minLength: minRank, maxLength: maxRank });

/** An axis, counted from either end. */
export const axisOf = (rank: number): fc.Arbitrary<number> => fc.integer({ min: -rank, max: rank - 1 });

/** Some axes, each counted from either end. */
export const axesOf = (rank: number, minLength = 1): fc.Arbitrary<number[]> =>
  fc
    .tuple(
      fc.subarray([...Array(rank).keys()], { minLength }),
      fc.array(fc.boolean(), { minLength: rank, maxLength: rank }),
    )
    .map(([axes, fromEnd]) => axes.map((axis) => (fromEnd[axis]! ? axis - rank : axis)));

/** Shapes that broadcast together to at most three dimensions. */
export const broadcastable = (count: number): fc.Arbitrary<number[][]> =>
  shapeOf(0, 3).chain((whole) =>
    fc.array(
      fc
        .tuple(
          fc.integer({ min: 0, max: whole.length }),
          fc.array(fc.boolean(), { minLength: whole.length, maxLength: whole.length }),
        )
        .map(([dropped, single]) => whole.map((size, axis) => (single[axis]! ? 1 : size)).slice(dropped)),
      { minLength: count, maxLength: count },
    ),
  );

/** Whole numbers below a bound, or counted from the end. */
export const indices = (count: number, bound: number): fc.Arbitrary<number[]> =>
  fc.array(fc.integer({ min: -bound, max: bound - 1 }), { minLength: count, maxLength: count });

export const product = (shape: readonly number[]): number => shape.reduce((all, size) => all * size, 1);
