import { createRandom } from '@thalamus/tensor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PairMonitor } from './pair-monitor.js';
import { RateMonitor } from './rate-monitor.js';
import { rateSequence } from './rate-sequence.js';

const RUNS = 2000;
const TRIALS = 400;

/** Largest count of false alarms that a true chance of `level` exceeds in one of 10,000 such tests only. */
function allowed(level: number): number {
  return Math.ceil(RUNS * level + 3.72 * Math.sqrt(RUNS * level * (1 - level)));
}

describe('RateMonitor', () => {
  it.each([
    { limit: 0.02, level: 0.05 },
    { limit: 0.1, level: 0.05 },
    { limit: 0.5, level: 0.01 },
  ])('raises false alarms in at most its level of runs, looked at always: $limit at $level', (rule) => {
    const random = createRandom(7);
    let alarms = 0;
    for (let run = 0; run < RUNS; run++) {
      const monitor = new RateMonitor(rule);
      for (let trial = 0; trial < TRIALS; trial++) monitor.add(random.next() < rule.limit);
      if (monitor.reading.alarm) alarms += 1;
    }
    expect(alarms).toBeLessThanOrEqual(allowed(rule.level));
    // A monitor that never says anything would pass the line above.
    expect(alarms).toBeGreaterThan(0);
  });

  it('holds its level when the rate hangs on what came before', () => {
    const random = createRandom(8);
    let alarms = 0;
    for (let run = 0; run < RUNS; run++) {
      const monitor = new RateMonitor({ limit: 0.2, level: 0.05 });
      for (let trial = 0; trial < TRIALS; trial++) {
        // As much as is allowed while the evidence is high, nothing while it is low.
        const rate = monitor.reading.logEvidence >= 0 ? 0.2 : 0.05;
        monitor.add(random.next() < rate);
      }
      if (monitor.reading.alarm) alarms += 1;
    }
    expect(alarms).toBeLessThanOrEqual(allowed(0.05));
  });

  it('sees a rate of twice its limit nearly always', () => {
    const random = createRandom(9);
    let seen = 0;
    for (let run = 0; run < 200; run++) {
      const monitor = new RateMonitor({ limit: 0.1, level: 0.05 });
      for (let trial = 0; trial < TRIALS; trial++) monitor.add(random.next() < 0.2);
      if (monitor.reading.alarm) seen += 1;
    }
    expect(seen).toBeGreaterThan(190);
  });

  it('never takes an alarm back, and counts what it was told', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { maxLength: 200 }), (events) => {
        const monitor = new RateMonitor({ limit: 0.3, level: 0.1 });
        let least = 1;
        events.forEach((isEvent, at) => {
          const { pValue, trials, alarm } = monitor.add(isEvent);
          expect(pValue).toBeLessThanOrEqual(least);
          expect(trials).toBe(at + 1);
          expect(alarm).toBe(pValue <= 0.1);
          least = pValue;
        });
        expect(monitor.reading.events).toBe(events.filter(Boolean).length);
      }),
    );
  });

  it.each([
    [0, 0.05],
    [1, 0.05],
    [0.1, 0],
    [NaN, 0.05],
  ])('refuses a limit of %s at level %s', (limit, level) => {
    expect(() => new RateMonitor({ limit, level })).toThrow(RangeError);
  });
});

describe('rateSequence', () => {
  it('holds the rate at all times at once in at least its share of runs', () => {
    const random = createRandom(10);
    let missed = 0;
    const rate = 0.1;
    for (let run = 0; run < RUNS; run++) {
      let events = 0;
      let isInside = true;
      for (let trials = 1; trials <= 200; trials++) {
        if (random.next() < rate) events += 1;
        // Between looks the interval hardly moves: every fifth is looked at, and all of the first.
        if (trials > 20 && trials % 5 !== 0) continue;
        const { low, high } = rateSequence(events, trials, 0.05);
        if (rate < low || rate > high) isInside = false;
      }
      if (!isInside) missed += 1;
    }
    expect(missed).toBeLessThanOrEqual(allowed(0.05));
  });

  it('surrounds what was seen, and is narrower with more of it', () => {
    fc.assert(
      fc.property(fc.nat(500), fc.integer({ min: 1, max: 500 }), (some, trials) => {
        const events = some % (trials + 1);
        const { low, high } = rateSequence(events, trials);
        expect(low).toBeLessThanOrEqual(events / trials);
        expect(high).toBeGreaterThanOrEqual(events / trials);
        const more = rateSequence(4 * events, 4 * trials);
        expect(more.high - more.low).toBeLessThan(high - low);
      }),
    );
  });
});

describe('PairMonitor', () => {
  it('raises false alarms in at most its level of runs when both versions are alike', () => {
    const random = createRandom(11);
    let alarms = 0;
    for (let run = 0; run < RUNS; run++) {
      const monitor = new PairMonitor(0.05);
      for (let trial = 0; trial < TRIALS; trial++)
        monitor.add(Math.exp(random.normal()), Math.exp(random.normal()));
      if (monitor.reading.alarm) alarms += 1;
    }
    expect(alarms).toBeLessThanOrEqual(allowed(0.05));
  });

  it('sees that the new version is slower, and leaves ties out', () => {
    const random = createRandom(12);
    const monitor = new PairMonitor(0.01);
    for (let trial = 0; trial < TRIALS; trial++) {
      monitor.add(Math.exp(random.normal()), 2 * Math.exp(random.normal()));
      monitor.add(1, 1);
    }
    expect(monitor.reading).toMatchObject({ alarm: true, ties: TRIALS, trials: TRIALS });
  });

  it('says nothing of a version that is faster', () => {
    const monitor = new PairMonitor(0.05);
    for (let trial = 0; trial < 50; trial++) monitor.add(2, 1);
    expect(monitor.reading.pValue).toBe(1);
  });
});
