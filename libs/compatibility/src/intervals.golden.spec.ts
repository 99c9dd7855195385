import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { wilson } from './intervals.js';
import { mcnemarExact, mcnemarMidP } from './mcnemar.js';
import { holm } from './multiplicity.js';
import { normalQuantile } from './normal-quantile.js';
import { rateSequence } from './sequential/rate-sequence.js';

interface Golden {
  readonly wilson: readonly { count: number; n: number; low: number; high: number }[];
  readonly mcnemar: readonly { onlyOldRight: number; onlyNewRight: number; p: number; midP: number }[];
  readonly holm: readonly { raw: number[]; adjusted: number[] }[];
  readonly normal: readonly { p: number; z: number }[];
  readonly sequence: readonly { events: number; trials: number; level: number; low: number; high: number }[];
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

  it.each(golden.mcnemar)(
    'mid-p McNemar of $onlyOldRight and $onlyNewRight',
    ({ onlyOldRight, onlyNewRight, midP }) => {
      expect(Math.abs(mcnemarMidP(onlyOldRight, onlyNewRight) / midP - 1)).toBeLessThan(1e-9);
    },
  );

  it.each(golden.holm)('Holm of $raw, as statsmodels has it', ({ raw, adjusted }) => {
    holm(raw).forEach((p, at) => expect(Math.abs(p - adjusted[at]!)).toBeLessThan(1e-12));
  });

  it.each(golden.normal)('quantile of the normal at $p', ({ p, z }) => {
    expect(Math.abs(normalQuantile(p) - z)).toBeLessThan(1e-12 * Math.max(1, Math.abs(z)));
  });

  it.each(golden.sequence)(
    'confidence sequence of $events in $trials',
    ({ events, trials, level, low, high }) => {
      const bounds = rateSequence(events, trials, level);
      expect(Math.abs(bounds.low - low)).toBeLessThan(1e-8);
      expect(Math.abs(bounds.high - high)).toBeLessThan(1e-8);
    },
  );

  it('knows nothing of an empty sample', () => {
    expect(wilson(0, 0)).toEqual({ count: 0, value: 0, low: 0, high: 1 });
  });
});
