import { ThalamusError } from '@thalamus/errors';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareVersions } from './compare-versions.js';
import { wilson } from './intervals.js';
import { mcnemarExact } from './mcnemar.js';
import { parsePredictions, type Prediction } from './predictions.js';

const labels = fc.constantFrom('a', 'b', 'c');
const items = fc.array(fc.record({ label: labels, old: labels, new: labels }), {
  minLength: 1,
  maxLength: 60,
});
const rows = (
  list: readonly { label: string; old: string; new: string }[],
  which: 'old' | 'new',
): Prediction[] =>
  list.map((item, index) => ({
    id: String(index),
    label: item.label,
    prediction: item[which],
    slices: [`label=${item.label}`],
  }));

describe('compareVersions', () => {
  it('keeps acc2 - acc1 = PFR - NFR, NFR_mc >= NFR, and BTC = 1 - NFR / acc1', () => {
    fc.assert(
      fc.property(items, (list) => {
        const { overall } = compareVersions(rows(list, 'old'), rows(list, 'new'), 0.01);
        expect(overall.newAccuracy.value - overall.oldAccuracy.value).toBeCloseTo(
          overall.positiveFlips.value - overall.negativeFlips.value,
          12,
        );
        expect(overall.inconsistentFlips.count).toBeGreaterThanOrEqual(overall.negativeFlips.count);
        if (overall.oldAccuracy.value > 0)
          expect(overall.backwardTrust).toBeCloseTo(
            1 - overall.negativeFlips.value / overall.oldAccuracy.value,
            12,
          );
      }),
    );
  });

  it('swaps negative and positive flips when the versions are swapped; slices add up', () => {
    fc.assert(
      fc.property(items, (list) => {
        const forth = compareVersions(rows(list, 'old'), rows(list, 'new'), 0.01);
        const back = compareVersions(rows(list, 'new'), rows(list, 'old'), 0.01);
        expect(back.overall.negativeFlips).toEqual(forth.overall.positiveFlips);
        expect(back.overall.mcnemarP).toBe(forth.overall.mcnemarP);
        expect(forth.slices.reduce((sum, slice) => sum + slice.n, 0)).toBe(list.length);
        expect(forth.items.length).toBe(
          forth.overall.negativeFlips.count + forth.overall.positiveFlips.count,
        );
      }),
    );
  });

  it('is compatible, incompatible or inconclusive by the interval', () => {
    const same = Array.from({ length: 1_000 }, () => ({ label: 'a', old: 'a', new: 'a' }));
    const broken = same.map((item, index) => ({ ...item, new: index < 100 ? 'b' : 'a' }));
    const few = same.slice(0, 50);
    expect(compareVersions(rows(same, 'old'), rows(same, 'new'), 0.01).verdict).toBe('compatible');
    expect(compareVersions(rows(broken, 'old'), rows(broken, 'new'), 0.01).verdict).toBe('incompatible');
    expect(compareVersions(rows(few, 'old'), rows(few, 'new'), 0.01).verdict).toBe('inconclusive');
  });

  it('refuses files that answer other items', () => {
    const one = rows([{ label: 'a', old: 'a', new: 'a' }], 'old');
    expect(() => compareVersions(one, [{ ...one[0]!, id: 'other' }], 0.01)).toThrow('only');
    expect(() => compareVersions(one, [{ ...one[0]!, label: 'b' }], 0.01)).toThrow('right label');
  });
});

describe('intervals', () => {
  // Values of scipy.stats.binomtest(k, n).proportion_ci(method="wilson") and binomtest(min(b, c), b + c).pvalue.
  it('Wilson', () => {
    const rate = wilson(10, 100);
    expect(rate.low).toBeCloseTo(0.05522914, 7);
    expect(rate.high).toBeCloseTo(0.17436566, 7);
    expect(wilson(0, 50).low).toBe(0);
    expect(wilson(0, 50).high).toBeCloseTo(0.0713476, 7);
  });

  it('exact McNemar', () => {
    expect(mcnemarExact(5, 15)).toBeCloseTo(0.04138946533203125, 12);
    expect(mcnemarExact(0, 0)).toBe(1);
    expect(mcnemarExact(3, 3)).toBe(1);
    expect(mcnemarExact(0, 6)).toBeCloseTo(0.03125, 12);
  });
});

describe('parsePredictions', () => {
  it('splits on line feeds only and names the faulty line', () => {
    expect(parsePredictions('{"id":"1","label":"a b","prediction":"x"}\n', 'f')[0]?.label).toBe('a b');
    const faults = ['{"id":"1"}', 'nonsense', '[]', '{"id":"1","label":"a","prediction":"b","extra":1}', ''];
    for (const text of faults) expect(() => parsePredictions(text, 'f.jsonl')).toThrow(ThalamusError);
    const twice = '{"id":"1","label":"a","prediction":"a"}\n{"id":"1","label":"a","prediction":"a"}';
    expect(() => parsePredictions(twice, 'f.jsonl')).toThrow('line 2');
  });
});
