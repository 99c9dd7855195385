import { describe, expect, it } from 'vitest';
import {
  decodeFloat16,
  encodeFloat16,
  fromBfloat16Bits,
  fromFloat16Bits,
  toBfloat16Bits,
  toFloat16Bits,
} from './half.js';

const PATTERNS = 65_536;

/** What the IEEE 754 definition says of a pattern, by exact arithmetic in double precision. */
function meaning(bits: number, exponentBits: number, mantissaBits: number): number {
  const sign = bits >>> 15 === 0 ? 1 : -1;
  const exponent = (bits >>> mantissaBits) & (2 ** exponentBits - 1);
  const mantissa = bits & (2 ** mantissaBits - 1);
  const bias = 2 ** (exponentBits - 1) - 1;
  if (exponent === 2 ** exponentBits - 1) return mantissa === 0 ? sign * Infinity : NaN;
  if (exponent === 0) return sign * mantissa * 2 ** (1 - bias - mantissaBits);
  return sign * (1 + mantissa / 2 ** mantissaBits) * 2 ** (exponent - bias);
}

/** Patterns for which a conversion gives something else than expected. */
function wrong(check: (bits: number) => boolean): number[] {
  return Array.from({ length: PATTERNS }, (_, bits) => bits).filter((bits) => !check(bits));
}

describe('binary16', () => {
  it('reads all 65,536 patterns as the standard says', () => {
    expect(wrong((bits) => Object.is(fromFloat16Bits(bits), meaning(bits, 5, 10)))).toEqual([]);
  });

  it('survives a round trip for all 65,536 patterns; a NaN stays a NaN of its sign', () => {
    const survives = (bits: number) => {
      const back = toFloat16Bits(fromFloat16Bits(bits));
      return Number.isNaN(meaning(bits, 5, 10)) ? Number.isNaN(fromFloat16Bits(back)) : back === bits;
    };
    expect(wrong(survives)).toEqual([]);
  });

  it('rounds to the nearest neighbour, ties to even, between every two finite patterns', () => {
    const rounds = (bits: number) => {
      if (bits >= 0x7bff) return true;
      const [low, high] = [fromFloat16Bits(bits), fromFloat16Bits(bits + 1)];
      const middle = (low + high) / 2;
      const even = (bits & 1) === 0 ? bits : bits + 1;
      const quarter = (high - low) / 4;
      return (
        toFloat16Bits(middle) === even &&
        toFloat16Bits(middle - quarter) === bits &&
        toFloat16Bits(middle + quarter) === bits + 1 &&
        toFloat16Bits(-middle) === (even | 0x8000)
      );
    };
    expect(wrong(rounds)).toEqual([]);
  });

  it('overflows to infinity, underflows to zero of the same sign', () => {
    expect(toFloat16Bits(65_519)).toBe(0x7bff);
    expect(toFloat16Bits(65_520)).toBe(0x7c00);
    expect(toFloat16Bits(-1e30)).toBe(0xfc00);
    expect(toFloat16Bits(Infinity)).toBe(0x7c00);
    expect(toFloat16Bits(2 ** -25)).toBe(0);
    expect(toFloat16Bits(2 ** -25 * 1.0001)).toBe(1);
    expect(toFloat16Bits(-(2 ** -30))).toBe(0x8000);
    expect(toFloat16Bits(-0)).toBe(0x8000);
    expect(fromFloat16Bits(toFloat16Bits(NaN))).toBeNaN();
  });

  it('converts arrays element by element, views with an offset too', () => {
    const values = new Float32Array([9, 1, -2, 0.5, 65_504]).subarray(1);
    expect([...encodeFloat16(values)]).toEqual([0x3c00, 0xc000, 0x3800, 0x7bff]);
    expect([...decodeFloat16(encodeFloat16(values))]).toEqual([1, -2, 0.5, 65_504]);
    expect(encodeFloat16(new Float32Array(0)).length).toBe(0);
  });
});

describe('bfloat16', () => {
  it('reads all 65,536 patterns as the standard says', () => {
    expect(wrong((bits) => Object.is(fromBfloat16Bits(bits), meaning(bits, 8, 7)))).toEqual([]);
  });

  it('survives a round trip for all 65,536 patterns; a NaN stays a NaN', () => {
    const survives = (bits: number) => {
      const back = toBfloat16Bits(fromBfloat16Bits(bits));
      return Number.isNaN(meaning(bits, 8, 7)) ? Number.isNaN(fromBfloat16Bits(back)) : back === bits;
    };
    expect(wrong(survives)).toEqual([]);
  });

  it('rounds to nearest, ties to even, and overflows to infinity', () => {
    expect(toBfloat16Bits(1 + 2 ** -8)).toBe(0x3f80);
    expect(toBfloat16Bits(1 + 3 * 2 ** -8)).toBe(0x3f82);
    expect(toBfloat16Bits(1 + 2 ** -8 + 2 ** -20)).toBe(0x3f81);
    expect(toBfloat16Bits(3.4e38)).toBe(0x7f80);
    expect(toBfloat16Bits(-0)).toBe(0x8000);
  });
});
