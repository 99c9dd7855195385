import { recalibrate } from '@thalamus/routing';
import { createRandom } from '@thalamus/tensor';
import { describe, expect, it } from 'vitest';
import { judgeOf } from './choose-learner.js';
import { chooseIntervals } from './choose-intervals.js';
import { chooseRecalibration, type OutOfFoldLosses } from './choose-recalibration.js';
import { centredKnots } from './isotonic-knots.js';

const FOLDS = 5;

/** Rows of two candidates; `shown` makes the prediction from the true chance of an error. */
function rowsOf(
  n: number,
  seed: number,
  shown: (chance: number, k: number) => number,
): OutOfFoldLosses & { readonly chances: Float64Array } {
  const random = createRandom(seed);
  const chances = Float64Array.from({ length: 2 * n }, () => 0.05 + 0.9 * random.next());
  return {
    chances,
    predicted: chances.map((chance, at) => shown(chance, at % 2)),
    measured: chances.map((chance) => (random.next() < chance ? 1 : 0)),
    candidates: 2,
    folds: Uint8Array.from({ length: n }, (_, row) => row % FOLDS),
    unit: 'error',
  };
}

const judged = (rows: OutOfFoldLosses) =>
  chooseRecalibration(
    rows,
    judgeOf({
      features: new Float32Array(),
      dimension: 1,
      losses: rows.measured,
      candidates: 2,
      folds: rows.folds,
      costs: Float64Array.of(0, 1),
    }),
  );

describe('chooseRecalibration', () => {
  it('keeps what is calibrated within a standard error of where it was', () => {
    const runs = Array.from({ length: 20 }, (_, seed) => judged(rowsOf(600, seed, (chance) => chance)));
    for (const { chosen, tried, maps, crossFitted } of runs) {
      expect(maps === undefined).toBe(chosen.kind === 'none');
      expect(chosen.gain).toBeGreaterThanOrEqual(-chosen.gainError);
      expect(chosen.ece).toBeLessThanOrEqual(tried[0]!.ece);
      expect(crossFitted.length).toBe(1200);
    }
    expect(runs.filter(({ chosen }) => chosen.kind === 'none').length).toBeGreaterThan(5);
  });

  it('brings back predictions that are all too sure of themselves', () => {
    // Twice the logit.
    const rows = rowsOf(2000, 3, (chance) => chance ** 2 / (chance ** 2 + (1 - chance) ** 2));
    const { chosen, tried, maps, why, crossFitted } = judged(rows);
    expect(tried[0]!.ece).toBeGreaterThan(0.08);
    expect(chosen.ece).toBeLessThan(0.02);
    expect(chosen.brier).toBeLessThan(tried[0]!.brier - 0.01);
    expect(why).toContain(chosen.kind);
    expect(recalibrate(maps![0]!, 0.2 ** 2 / (0.2 ** 2 + 0.8 ** 2))).toBeCloseTo(0.2, 1);
    const off = crossFitted.map((loss, at) => Math.abs(loss - rows.chances[at]!));
    expect(off.reduce((sum, x) => sum + x, 0) / off.length).toBeLessThan(0.05);
  });

  it('never takes what makes choices worse, however much better calibrated it is', () => {
    const rows = rowsOf(1500, 4, (chance, k) => (k === 0 ? chance : 0.5 + 0.1 * chance));
    const { tried, chosen } = judged(rows);
    expect(chosen.regret).toBeLessThanOrEqual(tried[0]!.regret);
    expect(chosen.behind).toBeLessThanOrEqual(chosen.behindError);
  });

  it('takes no map of probabilities for losses in nats', () => {
    const rows = rowsOf(300, 5, (chance) => 0.5 * chance);
    const { tried } = judged({ ...rows, measured: rows.measured.map((loss) => 3 * loss), unit: 'nats' });
    expect(tried.map(({ kind, scope }) => `${kind} ${scope}`)).toEqual([
      'none all',
      'isotonic all',
      'isotonic each',
    ]);
  });
});

describe('centredKnots', () => {
  it('puts one knot into the middle of each flat part', () => {
    const map = { kind: 'isotonic', inputs: [0, 2, 3, 4, 6], values: [0.1, 0.1, 0.4, 0.5, 0.5] } as const;
    expect(centredKnots(map)).toEqual({ kind: 'isotonic', inputs: [1, 3, 5], values: [0.1, 0.4, 0.5] });
  });

  it('keeps the ends when there are too many', () => {
    const inputs = Array.from({ length: 500 }, (_, at) => at);
    const kept = centredKnots({ kind: 'isotonic', inputs, values: inputs.map((x) => x / 500) });
    expect(kept.inputs).toHaveLength(64);
    expect([kept.inputs[0], kept.inputs.at(-1)]).toEqual([0, 499]);
    for (const x of [7.3, 250, 498]) expect(recalibrate(kept, x)).toBeCloseTo(x / 500, 9);
  });
});

describe('chooseIntervals', () => {
  const REGIONS = 4;
  const intervals = (deviations: readonly number[]) => {
    const random = createRandom(6);
    const n = 1200;
    const regions = Uint32Array.from({ length: n }, () => random.below(REGIONS));
    return chooseIntervals(
      {
        predicted: new Float64Array(n),
        measured: Float64Array.from(regions, (region) => deviations[region]! * random.normal()),
        candidates: 1,
        folds: Uint8Array.from({ length: n }, (_, row) => row % FOLDS),
        unit: 'nats',
        regions,
        regionCount: REGIONS,
      },
      0.9,
      1,
    )[0]!;
  };

  it('scales by region where regions differ, and covers the worst better', () => {
    const { interval, tried } = intervals([0.1, 0.1, 0.2, 1]);
    const [plain, scaled] = tried;
    expect(interval.scales).toHaveLength(REGIONS);
    expect(scaled!.score).toBeLessThan(plain!.score);
    expect(scaled!.worstRegion).toBeGreaterThan(plain!.worstRegion + 0.1);
    expect(scaled!.coverage).toBeGreaterThan(0.87);
  });

  it('stays plain where they do not', () => {
    const { interval, tried } = intervals([0.5, 0.5, 0.5, 0.5]);
    expect(interval.scales).toBeUndefined();
    expect(tried[0]!.coverage).toBeGreaterThan(0.87);
    expect(tried[0]!.coverage).toBeLessThan(0.93);
  });
});
