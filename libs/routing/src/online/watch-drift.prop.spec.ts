import { createRandom } from '@thalamus/tensor';
import fc from 'fast-check';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  checkDriftSettings,
  driftEvidence,
  NO_DRIFT,
  watchOutcome,
  type DriftSettings,
  type DriftState,
  type PredictedAndObserved,
} from './watch-drift.js';

const SEED = 20_241_106;
const SETTINGS: DriftSettings = { tolerance: 0.05, runLength: 20_000 };
const outcome: fc.Arbitrary<PredictedAndObserved> = fc.record({
  predicted: fc.double({ min: -0.2, max: 5, noNaN: true }),
  observed: fc.double({ min: 0, max: 5, noNaN: true }),
});
const fold = (list: readonly PredictedAndObserved[], by = SETTINGS, from: DriftState = NO_DRIFT) =>
  list.reduce((state, one) => watchOutcome(state, one, by), from);

interface Recorded {
  readonly models: readonly string[];
  readonly pairs: readonly (readonly [number, number])[];
  /** By task, of each model: 1 or 0 an item. */
  readonly tasks: Readonly<Record<string, readonly string[]>>;
}
const RECORDED = JSON.parse(
  readFileSync(new URL('./__golden__/llmdrift-scores.json', import.meta.url), 'utf8'),
) as Recorded;
const errorsOf = (task: string, model: number) =>
  Array.from(RECORDED.tasks[task]?.[model] ?? '', (score) => (score === '1' ? 0 : 1));
const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
const outcomesOf = (errors: readonly number[], predicted: number) =>
  errors.map((observed) => ({ predicted, observed }));

/** Updates of the table after which a model does worse at a task. */
const FALLS = Object.keys(RECORDED.tasks).flatMap((task) =>
  RECORDED.pairs
    .filter(([before, after]) => mean(errorsOf(task, after)) > mean(errorsOf(task, before)) + 0.05)
    .map(([before, after]) => ({ task, before, after, name: `${RECORDED.models[after]} at ${task}` })),
);

describe('a watch for drift', () => {
  it('has falls to find', () => {
    expect(FALLS.map(({ name }) => name)).toEqual(['gpt-4-0613 at prime', 'gpt-4-0613 at happy_number']);
  });

  it.each(FALLS)('raises the alarm within 300 outcomes of $name', ({ task, before, after }) => {
    const old = errorsOf(task, before);
    const predicted = mean(old);
    for (let replay = 0; replay < 20; replay++) {
      const random = createRandom(SEED + replay);
      const calm = fold(outcomesOf(random.shuffle([...old]), predicted));
      expect(calm.alarmAt, `replay ${replay}, before the update`).toBe(0);
      const affected = random.shuffle(errorsOf(task, after));
      const fallen = fold(outcomesOf(affected, predicted), SETTINGS, calm);
      expect(fallen.alarmAt - old.length, `replay ${replay}`).toBeGreaterThan(0);
      expect(fallen.alarmAt - old.length, `replay ${replay}`).toBeLessThanOrEqual(300);
    }
  });

  it('raises at most one false alarm in 20 replays of versions that did not change', () => {
    let alarms = 0;
    for (let replay = 0; replay < 20; replay++) {
      const random = createRandom(SEED - replay);
      const task = replay % 2 === 0 ? 'prime' : 'happy_number';
      const old = errorsOf(task, replay % 4 < 2 ? 0 : 2);
      // As long as a replay of a fall, drawn with replacement.
      const drawn = Array.from(
        { length: 2 * old.length },
        () => old[Math.floor(random.next() * old.length)] ?? 0,
      );
      if (fold(outcomesOf(drawn, mean(old))).alarmAt > 0) alarms += 1;
    }
    expect(alarms).toBeLessThanOrEqual(1);
  });

  it('raises a false alarm among n outcomes no more often than n / run length, at the edge of what is tolerated', () => {
    const by = { tolerance: 0.05, runLength: 500 };
    const random = createRandom(SEED);
    const runs = 2_000;
    const outcomes = 100;
    let alarms = 0;
    for (let run = 0; run < runs; run++) {
      let state = NO_DRIFT;
      for (let at = 0; at < outcomes; at++) {
        // Predictions change, and losses are as much above them as is just tolerated.
        const predicted = 0.1 + 0.4 * random.next();
        const observed = random.next() < predicted + by.tolerance ? 1 : 0;
        state = watchOutcome(state, { predicted, observed }, by);
      }
      if (state.alarmAt > 0) alarms += 1;
    }
    const bound = outcomes / by.runLength;
    expect(alarms / runs).toBeLessThanOrEqual(bound);
    // The bound is not met by never raising one.
    expect(alarms).toBeGreaterThan(0);
  });

  it('is the same whoever watched the beginning, and through a written state', () => {
    fc.assert(
      fc.property(fc.array(outcome, { maxLength: 40 }), fc.nat(), (list, at) => {
        const cut = at % (list.length + 1);
        const read = JSON.parse(JSON.stringify(fold(list.slice(0, cut)))) as DriftState;
        expect(fold(list.slice(cut), SETTINGS, read)).toEqual(fold(list));
      }),
      { numRuns: 200, seed: SEED },
    );
  });

  it('never goes below no evidence, and keeps an alarm', () => {
    fc.assert(
      fc.property(fc.array(outcome, { maxLength: 60 }), (list) => {
        let state = NO_DRIFT;
        for (const one of list) {
          const next = watchOutcome(state, one, SETTINGS);
          expect(driftEvidence(next)).toBeGreaterThanOrEqual(0);
          if (state.alarmAt > 0) expect(next.alarmAt).toBe(state.alarmAt);
          state = next;
        }
        expect(state.outcomes).toBe(list.length);
      }),
      { numRuns: 200, seed: SEED },
    );
  });

  it('takes no outcome that is no loss', () => {
    for (const one of [
      { predicted: NaN, observed: 1 },
      { predicted: 0.5, observed: NaN },
      { predicted: 0.5, observed: -1 },
      { predicted: Infinity, observed: 1 },
    ])
      expect(watchOutcome(NO_DRIFT, one, SETTINGS)).toBe(NO_DRIFT);
  });

  it('refuses settings out of their range', () => {
    expect(() => {
      checkDriftSettings(SETTINGS);
    }).not.toThrow();
    expect(() => {
      checkDriftSettings({ ...SETTINGS, tolerance: 0 });
    }).toThrow('the tolerance is 0');
    expect(() => {
      checkDriftSettings({ ...SETTINGS, runLength: 1 });
    }).toThrow('the run length is 1');
  });
});
