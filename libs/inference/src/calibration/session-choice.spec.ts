import { describe, expect, it } from 'vitest';
import { childrenFor, choicesFor, fastest, PLAIN, speedUp, withArena, type Trial } from './session-choice.js';

const trial = (threads: number, weights: 'stored' | 'expanded', aloneMs: number, batchMs: number): Trial => ({
  choice: { ...PLAIN, threads, weights },
  aloneMs,
  batchMs,
});

describe('how sessions are made', () => {
  it('tries threads in powers of two that the machine has, in either form of weights, the plain way first', () => {
    expect(choicesFor(1)).toEqual([PLAIN, { ...PLAIN, weights: 'expanded' }]);
    expect(choicesFor(6).map(({ threads }) => threads)).toEqual([1, 1, 2, 2, 4, 4]);
    expect(Math.max(...choicesFor(128).map(({ threads }) => threads))).toBe(8);
  });

  it('takes what is fastest for a lone text and a batch together', () => {
    const trials = [trial(1, 'stored', 10, 80), trial(1, 'expanded', 8, 60), trial(2, 'expanded', 5, 40)];
    expect(fastest(trials)).toEqual({ threads: 2, weights: 'expanded', arena: true });
    expect(fastest([trial(1, 'stored', 10, 80), trial(2, 'stored', 4, 300)])).toEqual(PLAIN);
  });

  it('does not pay threads or memory for a gain within the noise', () => {
    expect(fastest([trial(1, 'stored', 10, 80), trial(2, 'expanded', 9.8, 79)])).toEqual(PLAIN);
    expect(fastest([])).toEqual(PLAIN);
  });

  it('gives memory back at once where that costs next to nothing', () => {
    const kept = trial(1, 'stored', 10, 80);
    const without = (factor: number) => ({
      choice: { ...PLAIN, arena: false },
      aloneMs: 10 * factor,
      batchMs: 80 * factor,
    });
    expect(withArena(kept, without(1.01)).arena).toBe(false);
    expect(withArena(kept, without(1.2)).arena).toBe(true);
  });

  it('allows a second process where it gets notably more done', () => {
    expect(childrenFor(1.4)).toBe(2);
    expect(childrenFor(1.05)).toBe(1);
  });

  it('says how many times as fast', () => {
    expect(speedUp(trial(2, 'stored', 5, 40), trial(1, 'stored', 10, 80))).toBeCloseTo(2);
  });
});
