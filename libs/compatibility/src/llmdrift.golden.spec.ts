import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { FileComparison } from './file-comparison.js';

const golden = JSON.parse(readFileSync(new URL('./__golden__/llmdrift.json', import.meta.url), 'utf8')) as {
  readonly tasks: Readonly<Record<string, Readonly<Record<string, string>>>>;
};
const encoder = new TextEncoder();

/** Prediction file of a model, of one task. */
function file(task: string, model: string): Uint8Array {
  const rows = Array.from(golden.tasks[task]![model]!, (right, at) =>
    JSON.stringify({ id: `${task}-${at}`, label: 'right', prediction: right === '1' ? 'right' : 'wrong' }),
  );
  return encoder.encode(rows.join('\n'));
}

describe('the recorded updates of two remote models', () => {
  it.each([
    ['prime', 'gpt-4-0314', 'gpt-4-0613', 1000, 47.6, 14.7],
    ['prime', 'gpt-3.5-turbo-0301', 'gpt-3.5-turbo-0613', 1000, 15.3, 41.9],
    ['happy_number', 'gpt-4-0314', 'gpt-4-0613', 500, 53.8, 5.4],
    ['happy_number', 'gpt-3.5-turbo-0301', 'gpt-3.5-turbo-0613', 500, 14.0, 31.6],
  ])('%s, %s → %s: %i items, NFR %f %%, PFR %f %%', (...given) => {
    const [task, before, after, n, nfr, pfr] = given;
    const comparison = new FileComparison({ files: { before, after } });
    comparison.before(file(task, before));
    comparison.endBefore();
    comparison.after(file(task, after));
    const { overall, verdict } = comparison.result({ budget: 0.01, items: 0 });
    expect(overall.n).toBe(n);
    expect(100 * overall.negativeFlips.value).toBeCloseTo(nfr, 9);
    expect(100 * overall.positiveFlips.value).toBeCloseTo(pfr, 9);
    expect(verdict).toBe('incompatible');
  });
});

/** One prediction file of all kinds of prompts, which its rows name; prompts of `kept` kinds were sent to another model. */
function mixedFile(model: string, kept: Readonly<Record<string, string>> = {}): Uint8Array {
  const rows = Object.entries(golden.tasks).flatMap(([task, models]) =>
    Array.from(models[kept[task] ?? model]!, (right, at) => {
      const prediction = right === '1' ? 'right' : 'wrong';
      return JSON.stringify({ id: `${task}-${at}`, label: 'right', prediction, slice: `kind=${task}` });
    }),
  );
  return encoder.encode(rows.join('\n'));
}

describe('an upstream that drifted, by kind of prompt', () => {
  const compare = (before: Uint8Array, after: Uint8Array) => {
    const comparison = new FileComparison({ files: { before: 'old', after: 'new' }, dimensions: ['slice'] });
    comparison.before(before);
    comparison.endBefore();
    comparison.after(after);
    return comparison.result({ budget: 0.01, items: 0 });
  };
  const [old, own] = ['gpt-4-0314', 'gpt-4-0613'];

  it('says of each kind how much of it flipped, and names the worst', () => {
    const { verdict, slices, reason } = compare(mixedFile(old), mixedFile(own));
    expect(verdict).toBe('incompatible');
    const rates = slices.map(({ slice, negativeFlips }) => [slice, 100 * negativeFlips.value]);
    expect(rates).toEqual([
      ['kind=prime', expect.closeTo(47.6, 9)],
      ['kind=happy_number', expect.closeTo(53.8, 9)],
    ]);
    expect(reason).toContain('Above it among all slices: kind=happy_number');
  });

  it('flips nothing of a kind that goes to the old version', () => {
    const { verdict, slices } = compare(mixedFile(old), mixedFile(own, { happy_number: old }));
    const flipped = new Map(slices.map(({ slice, negativeFlips }) => [slice, negativeFlips.count]));
    expect(flipped).toEqual(
      new Map([
        ['kind=prime', 476],
        ['kind=happy_number', 0],
      ]),
    );
    expect(verdict).toBe('incompatible');
    const both = { happy_number: old, prime: old };
    expect(compare(mixedFile(old), mixedFile(own, both)).verdict).toBe('compatible');
  });
});
