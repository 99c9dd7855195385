import { describe, expect, it } from 'vitest';
import { costText, printable } from './chat.js';

describe('what chat prints', () => {
  it.each([
    [0, '0 USD'],
    [0.00128, '0.00128 USD'],
    [0.0000004, '0.000000400 USD'],
    [12.5, '12.50 USD'],
    [0.25, '0.250 USD'],
  ])('a cost of %s as %s', (usd, text) => {
    expect(costText(usd)).toBe(text);
  });

  it('nothing that steers a terminal', () => {
    expect(printable('a\u001b[2Jb\r\n\tc\u0007\u009bd é')).toBe('a[2Jb\n\tcd é');
  });
});
