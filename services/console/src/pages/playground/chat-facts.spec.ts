import { describe, expect, it } from 'vitest';
import { costUsd, durationText, pricesOf, usdText } from './chat-facts.js';

describe('costUsd', () => {
  it('prices both directions per million tokens', () => {
    const prices = { inputUsdPerMtok: 10, outputUsdPerMtok: 30 };
    expect(costUsd({ promptTokens: 100, completionTokens: 200 }, prices)).toBeCloseTo(0.007, 12);
  });
});

describe('pricesOf', () => {
  it('finds the prices of the very version', () => {
    const version = {
      version: '1',
      kind: 'upstream',
      channels: [],
      parameterCount: 0,
      sizeBytes: 0,
      licence: '',
      evaluation: [],
      residents: [],
    };
    const prices = { inputUsdPerMtok: 1, outputUsdPerMtok: 2 };
    const row = {
      name: 'a',
      task: 'text-generation',
      description: '',
      stable: '2',
      revision: 1,
      versions: [{ ...version, version: '2', prices }, version],
    };
    expect(pricesOf([row], 'a', '2')).toEqual(prices);
    expect(pricesOf([row], 'a', '1')).toBeUndefined();
    expect(pricesOf([row], 'b', '2')).toBeUndefined();
    expect(pricesOf(undefined, 'a', '2')).toBeUndefined();
  });
});

describe('usdText', () => {
  it('keeps two digits of small sums', () => {
    expect([0, 0.0000612, 0.00734, 0.25, 1234.5].map(usdText)).toEqual([
      '$0',
      '$0.000061',
      '$0.0073',
      '$0.25',
      '$1,234.50',
    ]);
  });
});

describe('durationText', () => {
  it('changes to seconds at one second', () => {
    expect([3.14159, 137.6, 1000, 12_340].map(durationText)).toEqual(['3.1 ms', '138 ms', '1.0 s', '12.3 s']);
  });
});
