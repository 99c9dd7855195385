import { describe, expect, it } from 'vitest';
import { argMax, cosine, dot, largest, logSumExp, softmax } from './vector.js';

describe('logSumExp', () => {
  it('stands values whose exponentials overflow or vanish', () => {
    expect(logSumExp([1000, 1000])).toBeCloseTo(1000 + Math.log(2), 10);
    expect(logSumExp([-1000, -1000])).toBeCloseTo(-1000 + Math.log(2), 10);
    expect(logSumExp([-Infinity, 3])).toBe(3);
  });

  it('is -Infinity for nothing, and passes infinities on', () => {
    expect(logSumExp([])).toBe(-Infinity);
    expect(logSumExp([Infinity, 0])).toBe(Infinity);
    expect(logSumExp([-Infinity, -Infinity])).toBe(-Infinity);
    expect(logSumExp([NaN, 0])).toBeNaN();
  });
});

describe('softmax', () => {
  it('gives the ratios of the exponentials', () => {
    const probabilities = softmax([1000, 1000 + Math.log(3)]);
    expect(probabilities[0]).toBeCloseTo(0.25, 12);
    expect(probabilities[1]).toBeCloseTo(0.75, 12);
    expect(softmax([]).length).toBe(0);
  });
});

describe('argMax', () => {
  it('takes the first of equals, and -1 for nothing', () => {
    expect(argMax([1, 3, 3])).toBe(1);
    expect(argMax([-5])).toBe(0);
    expect(argMax([])).toBe(-1);
  });
});

describe('cosine and dot', () => {
  it('agree with hand calculation', () => {
    expect(dot([1, 2, 3], [4, -5, 6])).toBe(12);
    expect(cosine([3, 4], [4, 3])).toBeCloseTo(24 / 25, 14);
    expect(cosine([1, 2], [-2, -4])).toBeCloseTo(-1, 14);
    expect(cosine([0, 0], [1, 2])).toBe(0);
  });
});

describe('largest', () => {
  it.each([
    [[3, 9, 1, 9, 5], 3, [1, 3, 4]],
    [[1, 2], 5, [1, 0]],
    [[1, 2], 0, []],
    [[], 2, []],
    [[NaN, -Infinity, NaN, 0], 3, [3, 1]],
  ])('of %j, %i', (values, count, indices) => {
    expect(largest(values, count)).toEqual(indices);
  });

  it('is what sorting gives', () => {
    const values = Array.from({ length: 500 }, (_, i) => (i * 7919) % 101);
    const sorted = [...values.keys()].sort((a, b) => values[b]! - values[a]! || a - b);
    expect(largest(values, 40)).toEqual(sorted.slice(0, 40));
  });
});
