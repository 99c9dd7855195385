import { describe, expect, it } from 'vitest';
import { createRandom } from './random.js';

/** Numbers of the first release: a change here changes every seeded result. */
const GOLDEN = {
  uniform: [0.09156953175513294, 0.8881928137485323, 0.43427017709149285, 0.746779782068075],
  normal: [0.5741420228306168, 0.06552114909981903, -0.17628187931501416, -1.2246999983419469],
  shuffled: 'chdfageb',
};

/** The same generator over big integers, written from Blackman and Vigna's C (xoshiro128**) and splitmix32. */
function referenceStream(seed: number, length: number): number[] {
  const mask = 0xffffffffn;
  const rotate = (x: bigint, by: bigint) => ((x << by) | (x >> (32n - by))) & mask;
  let mixed = BigInt(seed >>> 0);
  const splitmix = () => {
    mixed = (mixed + 0x9e3779b9n) & mask;
    let z = mixed;
    z = ((z ^ (z >> 16n)) * 0x21f0aaadn) & mask;
    z = ((z ^ (z >> 15n)) * 0x735a2d97n) & mask;
    return z ^ (z >> 15n);
  };
  const s = [splitmix(), splitmix(), splitmix(), splitmix()] as [bigint, bigint, bigint, bigint];
  const bits = () => {
    const result = (rotate((s[1] * 5n) & mask, 7n) * 9n) & mask;
    const shifted = (s[1] << 9n) & mask;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotate(s[3], 11n);
    return result;
  };
  return Array.from({ length }, () => {
    const high = bits() >> 5n;
    const low = bits() >> 6n;
    return Number(high * 67_108_864n + low) / 9_007_199_254_740_992;
  });
}

const stream = (seed: number, length: number) => {
  const random = createRandom(seed);
  return Array.from({ length }, () => random.next());
};

describe('createRandom', () => {
  it.each([0, 1, 7, 2 ** 31, 4_294_967_295, -1])('gives the reference stream for seed %i', (seed) => {
    expect(stream(seed, 200)).toEqual(referenceStream(seed, 200));
  });

  it('gives the same numbers as when it was first released', () => {
    expect(stream(1, 4)).toEqual(GOLDEN.uniform);
    const random = createRandom(42);
    expect(Array.from({ length: 4 }, () => random.normal())).toEqual(GOLDEN.normal);
    expect(createRandom(5).shuffle(Array.from('abcdefgh')).join('')).toBe(GOLDEN.shuffled);
  });

  it('stays inside its ranges with the moments of its distributions', () => {
    const random = createRandom(3);
    const uniform = Array.from({ length: 50_000 }, () => random.next());
    expect(uniform.every((value) => value >= 0 && value < 1)).toBe(true);
    expect(mean(uniform)).toBeCloseTo(0.5, 2);
    expect(variance(uniform)).toBeCloseTo(1 / 12, 2);
    const normal = Array.from({ length: 50_000 }, () => random.normal());
    expect(Math.abs(mean(normal))).toBeLessThan(0.02);
    expect(Math.abs(variance(normal) - 1)).toBeLessThan(0.02);
  });

  it('picks every whole number below a bound equally often', () => {
    const random = createRandom(11);
    const counts = new Array<number>(10).fill(0);
    for (let i = 0; i < 100_000; i++) counts[random.below(10)]! += 1;
    const chiSquare = counts.reduce((sum, n) => sum + (n - 10_000) ** 2 / 10_000, 0);
    expect(chiSquare).toBeLessThan(27.9); // 99.9 % quantile of chi-square with 9 degrees of freedom
  });

  it('shuffles to a permutation, and every element reaches every place', () => {
    const places = Array.from({ length: 4 }, () => [0, 0, 0, 0]);
    const random = createRandom(9);
    for (let i = 0; i < 8_000; i++) {
      random.shuffle([0, 1, 2, 3]).forEach((item, place) => (places[item]![place]! += 1));
    }
    for (const row of places) {
      expect(row.reduce((sum, n) => sum + n)).toBe(8_000);
      for (const n of row) expect(Math.abs(n - 2_000)).toBeLessThan(160);
    }
  });
});

const mean = (values: readonly number[]) => values.reduce((sum, x) => sum + x, 0) / values.length;
const variance = (values: readonly number[]) => {
  const center = mean(values);
  return values.reduce((sum, x) => sum + (x - center) ** 2, 0) / values.length;
};
