import { describe, expect, it } from 'vitest';
import { lossRange, observedLoss } from './observed-loss.js';

describe('observedLoss', () => {
  it('is what is missing to a full score, in errors', () => {
    expect([1, 0.25, 0].map((score) => observedLoss('error', score))).toEqual([0, 0.75, 1]);
    expect(lossRange('error')).toBe(1);
  });

  it('is the surprise of a score, in nats, within its range', () => {
    expect(observedLoss('nats', 1)).toBe(0);
    expect(Object.is(observedLoss('nats', 1), 0)).toBe(true);
    expect(observedLoss('nats', 0.5)).toBeCloseTo(Math.LN2, 12);
    expect(observedLoss('nats', 0)).toBe(lossRange('nats'));
    expect(lossRange('nats')).toBeCloseTo(Math.log(100), 12);
  });

  it.each([-0.1, 1.1, NaN])('refuses a score of %s', (score) => {
    expect(() => observedLoss('error', score)).toThrow('give one from 0 to 1');
  });
});
