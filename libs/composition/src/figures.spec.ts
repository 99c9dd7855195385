import { describe, expect, it } from 'vitest';
import { worstLoss } from './figures.js';

describe('what a composition loses at its worst task', () => {
  it('is the largest loss of a parent', () => {
    expect(worstLoss({ 'accuracy_loss/a': 0.01, 'accuracy_loss/b': 0.03, 'accuracy/c': 0.9 })).toBe(0.03);
  });

  it('is 0 where it gains everywhere, and not known where nothing was judged', () => {
    expect(worstLoss({ 'accuracy_loss/a': -0.02 })).toBe(0);
    expect(worstLoss({ parity_max_abs: 1e-7, bytes: 5 })).toBeUndefined();
  });
});
