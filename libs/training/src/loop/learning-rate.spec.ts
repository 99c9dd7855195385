import { SCHEDULES } from '@thalamus/contracts';
import { describe, expect, it } from 'vitest';
import { rateFactor } from './learning-rate.js';

describe('rateFactor', () => {
  it.each(SCHEDULES)('%s rises over the warm-up to one, then never rises again', (name) => {
    const at = (step: number) => rateFactor({ name, warmUpSteps: 4, totalSteps: 20 }, step);
    expect([0, 1, 2, 3, 4].map(at)).toEqual([0.2, 0.4, 0.6, 0.8, 1]);
    for (let step = 5; step < 20; step++) {
      expect(at(step)).toBeLessThanOrEqual(at(step - 1));
      expect(at(step)).toBeGreaterThan(0);
    }
    expect(at(20)).toBe(name === 'constant' ? 1 : 0);
  });

  it('has its form half-way', () => {
    const half = (name: (typeof SCHEDULES)[number]) =>
      rateFactor({ name, warmUpSteps: 0, totalSteps: 10, exponent: 3 }, 5);
    expect(SCHEDULES.map(half)).toEqual(
      [1, 0.5, 0.5, 0.125].map((value) => expect.closeTo(value, 12) as number),
    );
  });

  it('refuses a run without steps', () => {
    expect(() => rateFactor({ name: 'linear', warmUpSteps: 0, totalSteps: 0 }, 0)).toThrow(/needs steps/);
  });
});
