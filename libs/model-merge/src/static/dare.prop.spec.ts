import { createRandom } from '@thalamus/tensor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { counterKey, counterRandom } from './counter-random.js';
import { startStaticMerge } from './static-merge.js';
import { staticMethod } from './static-methods.js';

const N = 300;
const random = createRandom(1);
const base = Float32Array.from({ length: N }, () => random.normal());
const delta = Float32Array.from({ length: N }, () => random.normal());
const group = {
  name: 'w',
  dims: [N],
  base,
  parents: [{ name: 'only', data: base.map((value, i) => value + delta[i]!) }],
};

const dare = (shared: Record<string, unknown>, density: number, tensor = group) =>
  startStaticMerge(staticMethod('dare_linear'), {
    shared,
    parents: [{ name: 'only', parameters: { weight: 1, density } }],
  }).merge(tensor);

describe('DARE', () => {
  it('rescaled by the expectation, its mean over 200 seeds is the task vector', () => {
    const density = 0.1;
    const mean = new Float64Array(N);
    for (let seed = 0; seed < 200; seed++)
      dare({ seed, rescale: 'expectation' }, density).forEach((value, i) => {
        mean[i]! += (value - base[i]!) / 200;
      });
    const errors = mean.map((value, i) => {
      const deviation = Math.abs(delta[i]!) * Math.sqrt((1 - density) / density / 200);
      return (value - (group.parents[0]!.data[i]! - base[i]!)) / deviation;
    });
    // Normal deviates: none of 300 beyond five, and as wide as they should be.
    expect(Math.max(...errors.map(Math.abs))).toBeLessThan(5);
    const variance = errors.reduce((sum, value) => sum + value * value, 0) / N;
    expect(variance).toBeGreaterThan(0.75);
    expect(variance).toBeLessThan(1.3);
  });

  it('restores the L1 norm, or keeps what survives as it is', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
        fc.double({ min: 0.05, max: 0.95, noNaN: true }),
        (seed, density) => {
          const l1 = (values: Float32Array) =>
            values.reduce((sum, value, i) => sum + Math.abs(value - base[i]!), 0);
          const whole = l1(group.parents[0]!.data);
          expect(l1(dare({ seed, rescale: true }, density)) / whole).toBeCloseTo(1, 4);
          const off = Array.from(dare({ seed, rescale: false }, density), (value, i) =>
            value === base[i] ? 0 : Math.abs(value - group.parents[0]!.data[i]!),
          );
          expect(Math.max(...off)).toBeLessThan(1e-5);
        },
      ),
      { seed: 3, numRuns: 50 },
    );
  });

  it('drops other elements for another seed, tensor or parent, and the same ones for the same', () => {
    const kept = (seed: number, tensor: string) =>
      dare({ seed }, 0.5, { ...group, name: tensor })
        .map((value, i) => Number(value !== base[i]))
        .join('');
    expect(kept(1, 'w')).toBe(kept(1, 'w'));
    const masks = [kept(1, 'w'), kept(2, 'w'), kept(2 ** 32 + 1, 'w'), kept(1, 'v')];
    expect(new Set(masks).size).toBe(masks.length);
  });

  it('with density 0 is the base', () => expect(dare({ seed: 3 }, 0)).toEqual(base));
});

describe('the counter generator', () => {
  it('is uniform, and two streams share nothing', () => {
    const streams = ['a', 'b', 'c'].map((parent) => {
      const key = counterKey(9, 'w', parent);
      return Float64Array.from({ length: 20_000 }, (_, i) => counterRandom(key, i) / 2 ** 32 - 0.5);
    });
    for (const stream of streams) {
      const bins = new Array<number>(16).fill(0);
      for (const value of stream) bins[Math.floor((value + 0.5) * 16)]! += 1;
      const chiSquare = bins.reduce((sum, n) => sum + (n - 1250) ** 2 / 1250, 0);
      expect(chiSquare).toBeLessThan(37.7); // 99.9 % quantile with 15 degrees of freedom
      // Neighbours do not go together.
      const lag = stream.reduce((sum, value, i) => sum + value * (stream[i + 1] ?? 0), 0) / 20_000;
      expect(Math.abs(lag) * 12).toBeLessThan(0.03);
    }
    const cross = streams[0]!.reduce((sum, value, i) => sum + value * streams[1]![i]!, 0) / 20_000;
    expect(Math.abs(cross) * 12).toBeLessThan(0.03);
  });

  it('tells names apart that look alike when they are put together', () => {
    expect(counterKey(1, 'ab', 'c')).not.toEqual(counterKey(1, 'a', 'bc'));
  });
});
