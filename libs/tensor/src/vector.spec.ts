import { describe, expect, it } from 'vitest';
import { ThalamusError } from '@thalamus/errors';
import { createRandom } from './random.js';
import { tensor } from './tensor.js';
import { argMax, cosine, logSumExp, softmax } from './vector.js';

describe('vectors', () => {
  it('logSumExp and softmax stand large values', () => {
    expect(logSumExp([1000, 1000])).toBeCloseTo(1000 + Math.log(2), 10);
    expect([...softmax([1000, 1000 + Math.log(3)])].map((p) => p.toFixed(10))).toEqual([
      '0.2500000000',
      '0.7500000000',
    ]);
    expect(logSumExp([])).toBe(-Infinity);
  });

  it('argMax takes the first of equals; cosine of a zero vector is 0', () => {
    expect(argMax([1, 3, 3])).toBe(1);
    expect(cosine([0, 0], [1, 2])).toBe(0);
    expect(cosine([1, 2], [2, 4])).toBeCloseTo(1, 12);
  });
});

describe('tensor', () => {
  it('refuses data that does not fit the shape', () => {
    expect(() => tensor('float32', [2, 2], new Float32Array(3))).toThrow(ThalamusError);
    expect(() => tensor('float32', [-1], new Float32Array(0))).toThrow('not negative');
  });
});

describe('createRandom', () => {
  it('repeats for a seed, with the moments of its distributions', () => {
    const a = createRandom(7);
    const b = createRandom(7);
    expect(Array.from({ length: 5 }, () => a.next())).toEqual(Array.from({ length: 5 }, () => b.next()));
    const normals = Array.from({ length: 20_000 }, () => a.normal());
    const mean = normals.reduce((sum, x) => sum + x, 0) / normals.length;
    const variance = normals.reduce((sum, x) => sum + (x - mean) ** 2, 0) / normals.length;
    expect(Math.abs(mean)).toBeLessThan(0.03);
    expect(Math.abs(variance - 1)).toBeLessThan(0.05);
    expect(createRandom(1).shuffle([1, 2, 3, 4, 5]).sort()).toEqual([1, 2, 3, 4, 5]);
  });
});
