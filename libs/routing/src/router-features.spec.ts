import { describe, expect, it } from 'vitest';
import { PROMPT_FEATURES, promptFeatures } from './prompt-features.js';
import { featureWidth, routerFeatures, type FeatureSpec } from './router-features.js';
import { embedGrams, embedTokens, gramRows } from './static-embedding.js';

const feature = (prompt: string, name: (typeof PROMPT_FEATURES)[number]) =>
  promptFeatures(prompt)[PROMPT_FEATURES.indexOf(name)]!;
const length = (vector: ArrayLike<number>) => Math.hypot(...Array.from(vector));

describe('promptFeatures', () => {
  it('counts what a prompt is made of', () => {
    expect(feature('12ab', 'digitShare')).toBe(0.5);
    expect(feature('f(x);', 'codeShare')).toBeCloseTo(3 / 5);
    expect(feature('Ünïe', 'nonAsciiShare')).toBe(0.5);
    expect(feature('one two\nthree', 'logWords')).toBeCloseTo(Math.log(4));
    expect(feature('one two\nthree', 'logLines')).toBeCloseTo(Math.log(2));
    expect(feature('Which?\nA. one\nB) two\n(C) three\nDog', 'optionLines')).toBeCloseTo(Math.log(4));
    expect(feature('Why?  ', 'endsWithQuestion')).toBe(1);
    expect(feature('Why? No.', 'endsWithQuestion')).toBe(0);
  });

  it('is finite for every prompt, and shares lie between 0 and 1', () => {
    for (const prompt of [
      '',
      ' ',
      '\u0000',
      '🙂'.repeat(10),
      'x'.repeat(2 ** 20),
      '数学の問題です。',
      'a\ud800b',
      '?'.repeat(50_000),
    ]) {
      const values = promptFeatures(prompt);
      expect(values).toHaveLength(PROMPT_FEATURES.length);
      values.forEach((value, at) => {
        expect(Number.isFinite(value)).toBe(true);
        if (PROMPT_FEATURES[at]!.endsWith('Share')) expect(value >= 0 && value <= 1).toBe(true);
      });
    }
  });

  it('tells the whole length though it counts a part', () => {
    expect(feature('x'.repeat(100_000), 'logCharacters')).toBeCloseTo(Math.log1p(100_000));
  });
});

describe('static embeddings', () => {
  const table = { table: Float32Array.of(3, 0, 0, 4, 1, 1), rows: 3, width: 2 };

  it('are the sum of the rows, of length 1', () => {
    const into = new Float32Array(2);
    embedTokens([0, 1], table, into);
    expect(into[0]).toBeCloseTo(0.6);
    expect(into[1]).toBeCloseTo(0.8);
    embedTokens([], table, into);
    expect([...into]).toEqual([0, 0]);
  });

  it('refuse a piece outside the table', () => {
    expect(() => embedTokens([3], table, new Float32Array(2))).toThrow(/outside a table of 3/);
  });

  it('count a run once, and tell the order of pieces', () => {
    expect(gramRows([5, 6, 5, 6], 1 << 20)).toEqual(gramRows([5, 6, 5], 1 << 20));
    expect(gramRows([5, 6], 1 << 20).size).toBe(3);
    expect(gramRows([5, 6], 1 << 20)).not.toEqual(gramRows([6, 5], 1 << 20));
    for (const row of gramRows([1, 2, 3, 4, 30_521], 7)) expect(row >= 0 && row < 7).toBe(true);
    const into = new Float32Array(2);
    embedGrams([1, 2], table, into);
    expect(length(into)).toBeCloseTo(1);
  });
});

describe('routerFeatures', () => {
  const spec: FeatureSpec = {
    blocks: [
      { kind: 'sentence', width: 2, weight: 1 },
      { kind: 'tokens', width: 2, weight: 0.5 },
      { kind: 'prompt', width: PROMPT_FEATURES.length, weight: 1 },
    ],
    tokens: { table: Float32Array.of(1, 0, 0, 1), rows: 2, width: 2 },
    scale: {
      mean: new Float32Array(PROMPT_FEATURES.length),
      deviation: new Float32Array(PROMPT_FEATURES.length).fill(1),
    },
  };
  const input = { text: 'x', ids: [1], sentence: Float32Array.of(0.6, 0.8) };

  it('are put together in order, weighed, and of length 1', () => {
    const features = routerFeatures([input, input], spec);
    const width = featureWidth(spec);
    expect(features).toHaveLength(2 * width);
    expect(length(features.subarray(0, width))).toBeCloseTo(1);
    expect(features.subarray(width)).toEqual(features.subarray(0, width));
    expect(features[0]! / features[1]!).toBeCloseTo(0.75);
    expect(features[2]).toBe(0);
    // The token part has half the length of the sentence part.
    expect(features[3]!).toBeCloseTo(0.5 * Math.hypot(features[0]!, features[1]!));
  });

  it('let no odd prompt run away', () => {
    const far = {
      ...spec,
      scale: { mean: new Float32Array(PROMPT_FEATURES.length).fill(1e9), deviation: spec.scale!.deviation },
    };
    const features = routerFeatures([input], far);
    // Cut at three deviations: the prompt part is three times as long as one of length 1.
    expect(length(features.subarray(4)) / length(features.subarray(0, 2))).toBeCloseTo(3);
  });

  it('refuse a part that is missing or of another width', () => {
    expect(() => routerFeatures([{ text: 'x', ids: [1] }], spec)).toThrow(/"sentence" of width 2 is missing/);
    expect(() => routerFeatures([{ ...input, sentence: Float32Array.of(1) }], spec)).toThrow(
      /has the width 1/,
    );
  });
});
