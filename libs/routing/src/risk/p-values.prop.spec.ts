import { createRandom } from '@thalamus/tensor';
import { describe, expect, it } from 'vitest';
import { bettingPValue, hoeffdingBentkus, type BoundedSample } from './p-values.js';

const tests = [
  ['Hoeffding-Bentkus', hoeffdingBentkus],
  ['betting', (sample: BoundedSample) => bettingPValue(sample, 0.1)],
] as const;

/** Values with exactly this mean, from -1 to 1: rare large ones, coins, narrow ones. */
const shapes: readonly (readonly [string, (random: () => number, mean: number) => number])[] = [
  ['coins', (random, mean) => (random() < (1 + mean) / 2 ? 1 : -1)],
  [
    'three values',
    (random, mean) => {
      const u = random();
      return u < 0.1 + mean / 2 ? 1 : u < 0.2 ? -1 : 0;
    },
  ],
  ['narrow ones', (random, mean) => mean + 0.2 * (random() - 0.5)],
];

describe.each(tests)('the p-value by %s', (_name, test) => {
  it.each(shapes)('is at most delta as rarely as promised where the mean is alpha: %s', (_shape, draw) => {
    const random = createRandom(17);
    const alpha = 0.05;
    const rounds = 3_000;
    for (const delta of [0.05, 0.1]) {
      let rejected = 0;
      for (let round = 0; round < rounds; round++) {
        const values = Array.from({ length: 200 }, () => draw(() => random.next(), alpha));
        if (test({ values, low: -1, high: 1, alpha }) <= delta) rejected++;
      }
      expect(rejected / rounds).toBeLessThan(delta + 4 * Math.sqrt((delta * (1 - delta)) / rounds));
    }
  });

  it('falls as the values do, and needs no more than the sign of a certain gain', () => {
    const sample = (value: number, n: number): BoundedSample => ({
      values: new Array<number>(n).fill(value),
      low: -1,
      high: 1,
      alpha: 0.1,
    });
    expect(test(sample(-0.2, 200))).toBeLessThan(test(sample(0, 200)));
    expect(test(sample(0, 2_000))).toBeLessThan(0.05);
    expect(test(sample(0.2, 2_000))).toBe(1);
    expect(test(sample(0, 0))).toBe(1);
  });
});

describe('Hoeffding-Bentkus', () => {
  it('is the smaller of the two bounds, by hand', () => {
    // n = 10, mean 0.1, alpha 0.5: e x P(Binomial(10, 1/2) <= 1) = e x 11 / 1024; exp(-10 x KL) = 0.0252.
    const values = [1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    const kl = 0.1 * Math.log(0.1 / 0.5) + 0.9 * Math.log(0.9 / 0.5);
    const expected = Math.min(Math.exp(-10 * kl), (Math.E * 11) / 1024);
    expect(hoeffdingBentkus({ values, low: 0, high: 1, alpha: 0.5 })).toBeCloseTo(expected, 12);
    // No value at all: e x (1 - alpha)^n against exp(-n KL(0, alpha)) = (1 - alpha)^n.
    const none = hoeffdingBentkus({ values: values.map(() => 0), low: 0, high: 1, alpha: 0.3 });
    expect(none).toBeCloseTo(0.7 ** 10, 12);
  });
});

describe('betting', () => {
  it('is the product of the bets, by hand', () => {
    // One value of 0, alpha = 0.5 on [0, 1]: the stake is the least of .75 / .5 and sqrt(2 ln 10 / .25).
    expect(bettingPValue({ values: [0], low: 0, high: 1, alpha: 0.5 }, 0.1)).toBeCloseTo(1 / 1.75, 12);
    expect(bettingPValue({ values: [1], low: 0, high: 1, alpha: 0.5 }, 0.1)).toBe(1);
  });

  it('sees a small gain of narrow values, to which Hoeffding-Bentkus is blind', () => {
    const random = createRandom(4);
    const values = Array.from({ length: 500 }, () => 0.1 * (random.next() - 0.5));
    const sample = { values, low: -1, high: 1, alpha: 0.02 };
    expect(bettingPValue(sample, 0.1)).toBeLessThan(0.1);
    expect(hoeffdingBentkus(sample)).toBeGreaterThan(0.5);
  });
});
