import { describe, expect, it } from 'vitest';
import { MemoryDrift } from './memory-drift.js';

const MB = 2 ** 20;

describe('MemoryDrift', () => {
  it('counts as needed what the process had with its models, twice their weights, and the slack', () => {
    const drift = new MemoryDrift(100 * MB);
    drift.started(400 * MB);
    expect(drift.isExceeded(500 * MB, 50 * MB)).toBe(false);
    expect(drift.isExceeded(501 * MB, 50 * MB)).toBe(true);
    expect(drift.isExceeded(501 * MB, 220 * MB)).toBe(false);
  });

  it('counts what came with a model that was loaded later, and nothing twice', () => {
    const drift = new MemoryDrift(100 * MB);
    drift.started(100 * MB);
    // Ninety of drift, then a model of fifty: the drift stays drift.
    drift.loaded(190 * MB, 240 * MB);
    expect(drift.isExceeded(250 * MB, 0)).toBe(false);
    expect(drift.isExceeded(251 * MB, 0)).toBe(true);
    drift.loaded(251 * MB, 200 * MB);
    expect(drift.isExceeded(251 * MB, 0)).toBe(true);
  });

  it('needs no longer what was given back', () => {
    const drift = new MemoryDrift(100 * MB);
    drift.started(400 * MB);
    expect(drift.isExceeded(150 * MB, 0)).toBe(false);
    expect(drift.isExceeded(251 * MB, 0)).toBe(true);
  });

  it('lets exchanges follow one another after ever longer pauses, and forgets them after a long quiet', () => {
    const drift = new MemoryDrift(0);
    const times: number[] = [];
    for (let now = 0; now < 3_600_000; now += 1_000)
      if (drift.mayExchange(now)) {
        drift.exchanged(now);
        times.push(now / 1_000);
      }
    expect(times.slice(0, 6)).toEqual([0, 5, 15, 35, 75, 155]);
    expect(times.length).toBeLessThan(15);
    const quiet = 2 * 3_600_000;
    drift.exchanged(quiet);
    expect(drift.mayExchange(quiet + 5_000)).toBe(true);
  });
});
