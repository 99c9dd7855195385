import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mixSeed } from './mix-seed.js';
import { cutWindows, logUnigramFrequencies, maskTokens, type MaskVocabulary } from './mask-tokens.js';

const VOCABULARY: MaskVocabulary = {
  maskId: 4,
  specialIds: new Set([0, 1, 2, 3, 4]),
  size: 50,
  isContinuation: (id) => id >= 40,
};
const row = fc
  .array(fc.integer({ min: 5, max: 49 }), { minLength: 1, maxLength: 120 })
  .map((ids) => [2, ...ids, 3]);
const RUNS = { seed: 20_261_125, numRuns: 200 };

describe('maskTokens', () => {
  it('changes chosen positions only, never special tokens, and remembers what was there', () => {
    fc.assert(
      fc.property(row, fc.integer({ min: 0, max: 2 ** 31 }), fc.boolean(), (ids, seed, wholeWords) => {
        const masked = maskTokens(ids, VOCABULARY, { share: 0.25, seed, wholeWords });
        const again = maskTokens(ids, VOCABULARY, { share: 0.25, seed, wholeWords });
        expect(again).toEqual(masked);
        expect(masked.positions.length).toBeGreaterThan(0);
        const hidden = new Set(masked.positions);
        ids.forEach((id, position) => {
          if (!hidden.has(position)) expect(masked.ids[position]).toBe(id);
          else {
            expect(VOCABULARY.specialIds.has(id)).toBe(false);
            expect(masked.labels[masked.positions.indexOf(position)]).toBe(id);
            expect(masked.ids[position] === 4 || !VOCABULARY.specialIds.has(masked.ids[position]!)).toBe(
              true,
            );
          }
        });
        if (wholeWords)
          for (const position of masked.positions)
            if (VOCABULARY.isContinuation(ids[position + 1] ?? 0))
              expect(hidden.has(position + 1)).toBe(true);
      }),
      RUNS,
    );
  });

  it('hides about the share asked for: 80 % masks, 10 % others, 10 % as they were', () => {
    let [masks, same, other, all] = [0, 0, 0, 0];
    const ids = [2, ...Array.from({ length: 200 }, (_, k) => 5 + (k % 35)), 3];
    for (let seed = 0; seed < 100; seed++) {
      const {
        ids: hidden,
        positions,
        labels,
      } = maskTokens(ids, VOCABULARY, { share: 0.25, seed: mixSeed(1, 0, seed) });
      positions.forEach((position, k) => {
        all += 1;
        if (hidden[position] === 4) masks += 1;
        else if (hidden[position] === labels[k]) same += 1;
        else other += 1;
      });
    }
    expect(all).toBe(5_000);
    expect(masks / all).toBeCloseTo(0.8, 1);
    expect(same / all).toBeCloseTo(0.1, 1);
    expect(other / all).toBeCloseTo(0.1, 1);
  });

  it('hides with the mask alone for measuring', () => {
    const { ids, positions } = maskTokens([2, 10, 11, 12, 3], VOCABULARY, {
      share: 1,
      seed: 3,
      always: true,
    });
    expect(positions).toEqual([1, 2, 3]);
    expect(ids).toEqual([2, 4, 4, 4, 3]);
  });

  it('gives disjoint parts that hide every word once when there are enough of them', () => {
    fc.assert(
      fc.property(row, fc.integer({ min: 0, max: 2 ** 31 }), (ids, seed) => {
        const parts = [0, 1, 2, 3, 4].map((part) =>
          maskTokens(ids, VOCABULARY, { share: 0.25, seed, always: true, part }),
        );
        const hidden = parts.flatMap(({ positions }) => positions);
        expect(new Set(hidden).size).toBe(hidden.length);
        const all = ids.flatMap((id, position) => (VOCABULARY.specialIds.has(id) ? [] : [position]));
        // Rounding may leave the last words of a row to a fifth part.
        expect(hidden.toSorted((a, b) => a - b)).toEqual(all);
      }),
      RUNS,
    );
  });

  it('gives different rows, passes and runs different seeds', () => {
    const seeds = new Set<number>();
    for (let seed = 0; seed < 5; seed++)
      for (let epoch = 0; epoch < 10; epoch++)
        for (let at = 0; at < 200; at++) seeds.add(mixSeed(seed, epoch, at));
    expect(seeds.size).toBeGreaterThan(9_990);
  });
});

describe('cutWindows', () => {
  it('keeps every token once and in order, each window opened, closed and within its size', () => {
    fc.assert(
      fc.property(row, fc.integer({ min: 3, max: 40 }), (ids, size) => {
        const windows = cutWindows(ids, size);
        for (const window of windows) {
          expect(window.length).toBeLessThanOrEqual(size);
          expect([window[0], window.at(-1)]).toEqual([2, 3]);
        }
        expect(windows.flatMap((window) => window.slice(1, -1))).toEqual(ids.slice(1, -1));
      }),
      RUNS,
    );
  });
});

describe('logUnigramFrequencies', () => {
  it('are log shares that add up to one, unseen tokens counted once', () => {
    const bias = logUnigramFrequencies([[1, 1, 2]], 4);
    expect(bias.map(Math.exp)).toEqual(
      Float32Array.from([1 / 7, 3 / 7, 2 / 7, 1 / 7]).map((share) => Math.exp(Math.fround(Math.log(share)))),
    );
    expect(bias.reduce((sum, value) => sum + Math.exp(value), 0)).toBeCloseTo(1, 6);
  });
});
