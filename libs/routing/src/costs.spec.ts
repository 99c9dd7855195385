import { describe, expect, it } from 'vitest';
import { costOf, defaultFlags, UNKNOWN_COST, weightsOf, type CostScale } from './costs.js';
import { parseFlags } from './flags.js';

const linear = (min: number, max: number): CostScale => ({ transform: 'linear', min, max });
const log10 = (min: number, max: number): CostScale => ({ transform: 'log10', min, max });

describe('costOf', () => {
  it.each([
    [50, linear(0, 200), 0.25],
    [0, linear(0, 200), 0],
    [200, linear(0, 200), 1],
    [900, linear(0, 200), 1],
    [-5, linear(0, 200), 0],
    [1e6, log10(1e6, 1e12), 0],
    [1e9, log10(1e6, 1e12), 0.5],
    [1e12, log10(1e6, 1e12), 1],
    [0, log10(1e6, 1e12), 0],
  ])('of %d on its scale', (value, scale, expected) => {
    expect(costOf(value, scale)).toBeCloseTo(expected, 12);
  });

  it('is 0 on a scale without range, also for an unknown value', () => {
    for (const scale of [linear(7, 7), linear(7, 3), log10(10, 10), log10(0, 0)]) {
      expect(costOf(7, scale)).toBe(0);
      expect(costOf(undefined, scale)).toBe(0);
    }
  });

  it('is in the middle when the value is unknown: unknown is not free', () => {
    expect(costOf(undefined, linear(0, 1))).toBe(UNKNOWN_COST);
    expect(UNKNOWN_COST).toBe(0.5);
  });

  it('is a number between 0 and 1 on a logarithmic scale that begins at 0', () => {
    const cost = costOf(100, log10(0, 1000));
    expect(cost).toBeGreaterThan(0.9);
    expect(cost).toBeLessThanOrEqual(1);
  });
});

describe('weightsOf', () => {
  const levels = { low: 0.05, medium: 0.2, high: 0.8 };
  const scales = { size: log10(1, 10), cost: linear(0, 1) };

  it('takes weights as they are, levels from the router model, and no limits', () => {
    expect([...weightsOf(parseFlags('size=0.3,cost=high,size<5'), levels, scales)]).toEqual([
      ['size', 0.3],
      ['cost', 0.8],
    ]);
  });

  it('refuses a wish that the router model cannot weigh', () => {
    expect(() => weightsOf(parseFlags('verbosity=1'), levels, scales)).toThrow(
      'Flag "verbosity": the router model has no scale for it; it weighs cost, size.',
    );
    expect(() => weightsOf(parseFlags('size=high'), { low: 1 }, scales)).toThrow('it knows low');
    expect(weightsOf(parseFlags('verbosity<1'), levels, scales).size).toBe(0);
  });

  it('makes flags of the defaults that can be weighed', () => {
    expect(defaultFlags({ size: 0.1, verbosity: 2, nonsense: 3 }, scales)).toEqual([
      { name: 'size', kind: 'weight', value: 0.1 },
    ]);
  });
});
