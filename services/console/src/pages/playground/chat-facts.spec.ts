import { describe, expect, it } from 'vitest';
import { durationText, usdText } from './chat-facts.js';

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
