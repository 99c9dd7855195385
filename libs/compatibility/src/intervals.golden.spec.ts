import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { mcnemarExact, wilson } from './intervals.js';

interface Golden {
  readonly wilson: readonly { count: number; n: number; low: number; high: number }[];
  readonly mcnemar: readonly { onlyOldRight: number; onlyNewRight: number; p: number }[];
}

const golden = JSON.parse(
  readFileSync(new URL('./__golden__/intervals.json', import.meta.url), 'utf8'),
) as Golden;

describe('intervals against scipy', () => {
  it.each(golden.wilson)('Wilson interval of $count in $n', ({ count, n, low, high }) => {
    const rate = wilson(count, n);
    expect(rate.value).toBe(count / n);
    expect(Math.abs(rate.low - low)).toBeLessThan(1e-12);
    expect(Math.abs(rate.high - high)).toBeLessThan(1e-12);
  });

  it.each(golden.mcnemar)(
    'exact McNemar of $onlyOldRight and $onlyNewRight',
    ({ onlyOldRight, onlyNewRight, p }) => {
      expect(Math.abs(mcnemarExact(onlyOldRight, onlyNewRight) / p - 1)).toBeLessThan(1e-9);
    },
  );

  it('knows nothing of an empty sample', () => {
    expect(wilson(0, 0)).toEqual({ count: 0, value: 0, low: 0, high: 1 });
  });
});
