import { describe, expect, it } from 'vitest';
import { fromBfloat16Bits, fromFloat16Bits, toBfloat16Bits, toFloat16Bits } from './half.js';

describe('binary16', () => {
  it('survives a round trip for all 65,536 patterns', () => {
    for (let bits = 0; bits < 65_536; bits++) {
      const value = fromFloat16Bits(bits);
      if (Number.isNaN(value)) expect(Number.isNaN(fromFloat16Bits(toFloat16Bits(value)))).toBe(true);
      else if (toFloat16Bits(value) !== bits)
        throw new Error(`pattern ${bits} came back as ${toFloat16Bits(value)}`);
    }
  });

  it('rounds to nearest, ties to even, and overflows to infinity', () => {
    expect(toFloat16Bits(1 + 2 ** -11)).toBe(0x3c00);
    expect(toFloat16Bits(1 + 3 * 2 ** -11)).toBe(0x3c02);
    expect(toFloat16Bits(65_519)).toBe(0x7bff);
    expect(toFloat16Bits(65_520)).toBe(0x7c00);
    expect(toFloat16Bits(2 ** -25)).toBe(0);
    expect(toFloat16Bits(-0)).toBe(0x8000);
  });
});

describe('bfloat16', () => {
  it('survives a round trip for all finite patterns', () => {
    for (let bits = 0; bits < 65_536; bits++) {
      const value = fromBfloat16Bits(bits);
      if (!Number.isNaN(value) && toBfloat16Bits(value) !== bits) throw new Error(`pattern ${bits}`);
    }
  });
});
