import { describe, expect, it } from 'vitest';
import type { LiveReading } from '../../api/release-types.js';
import { seriesOf, withReading } from './readings.js';

const reading = (trials: number, stepSamples = 0): LiveReading => ({
  ...{ mirrored: trials, stableRequests: 0, candidateRequests: 0, feedback: 0, probed: 0, stepSamples },
  tests: [
    {
      ...{ test: 'mirror.errors', trials, events: 0, rate: 0, low: 0, high: 1, limit: 0.01 },
      ...{ pValue: 1, alarm: false },
    },
  ],
});
const trialsOf = (readings: readonly LiveReading[]) => readings.map(({ tests }) => tests[0]?.trials);

describe('readings of a release', () => {
  it('are kept one after the other; the same again is none', () => {
    const one = withReading([], reading(3));
    const two = withReading(one, reading(5));
    expect(trialsOf(withReading(two, null))).toEqual([3, 5]);
    const same = withReading(two, reading(5, 9));
    expect(trialsOf(same)).toEqual([3, 5]);
    // What else it says is that of the last one.
    expect(same.at(-1)?.stepSamples).toBe(9);
  });

  it('begin anew when they count less: another updater reads the events again', () => {
    expect(trialsOf(withReading([reading(3), reading(9)], reading(2)))).toEqual([2]);
  });

  it('are thinned out, first and last stay', () => {
    let readings: readonly LiveReading[] = [];
    for (let trials = 1; trials <= 2_000; trials++) readings = withReading(readings, reading(trials));
    expect(readings.length).toBeLessThanOrEqual(240);
    expect(trialsOf(readings)[0]).toBe(1);
    expect(trialsOf(readings).at(-1)).toBe(2_000);
  });

  it('of one test are those with trials', () => {
    expect(seriesOf([reading(0), reading(4)], 'mirror.errors').map(({ trials }) => trials)).toEqual([4]);
    expect(seriesOf([reading(4)], 'canary.errors')).toEqual([]);
  });
});
