import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { rankedValue } from './largest.js';

describe('rankedValue', () => {
  it('is what sorting gives, and no larger value stands after it', () => {
    const value = fc.oneof(fc.double({ noNaN: true }), fc.integer({ min: -3, max: 3 }));
    fc.assert(
      fc.property(fc.array(value, { minLength: 1, maxLength: 200 }), fc.nat(), (list, drawn) => {
        const rank = drawn % list.length;
        const values = Float64Array.from(list);
        const sorted = Float64Array.from(list).sort().reverse();
        expect(rankedValue(values, rank) === sorted[rank]).toBe(true);
        expect([...values.subarray(rank)].every((after) => after <= sorted[rank]!)).toBe(true);
        // Typed arrays put -0 before +0: a comparison by difference leaves them as they come.
        expect([...values.sort()].reverse()).toEqual([...sorted]);
      }),
    );
  });

  it('takes no longer for values that are equal or in order', () => {
    for (const make of [(at: number) => at, (at: number) => -at, () => 1])
      expect(
        rankedValue(
          Float64Array.from({ length: 200_000 }, (_, at) => make(at)),
          100_000,
        ),
      ).toBeDefined();
  });

  it.each([-1, 3, 0.5, NaN])('refuses the rank %d of three', (rank) => {
    expect(() => rankedValue(Float64Array.of(1, 2, 3), rank)).toThrow(RangeError);
  });
});
