import { picoTokenizer } from '@thalamus/testing';
import { describe, expect, it } from 'vitest';
import { patternFault } from './tokenizer-check.js';
import { Tokenizer } from './tokenizer.js';

/** The pico tokenizer with other fields, parsed. */
function parsed(fields: object): Tokenizer {
  const json = JSON.parse(new TextDecoder().decode(picoTokenizer())) as object;
  return Tokenizer.parse(new TextEncoder().encode(JSON.stringify({ ...json, ...fields })));
}
const split = (pattern: string) => ({
  pre_tokenizer: { type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false },
});
const replacing = (times: number) => ({
  normalizer: {
    type: 'Sequence',
    normalizers: Array.from({ length: times }, () => ({
      ...{ type: 'Replace', pattern: { String: 'a' }, content: 'a'.repeat(10) },
    })),
  },
});

describe('a tokenizer of a stranger', () => {
  it.each([
    ["'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"],
    [
      "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
    ],
    [
      "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\\p{N}{1,3}",
    ],
    [' ?[^(\\s|[.,!?…。，、।۔،])]+'],
    ['<\\|startoftext\\|>|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+'],
    [' {2,}'],
  ])('splits by a pattern that published tokenizers have: %s', async (pattern) => {
    expect(patternFault(pattern)).toBeUndefined();
    expect((await parsed(split(pattern)).encode(['hello world'], 24))[0]?.ids.length).toBeGreaterThan(1);
  });

  it.each([
    ['(a|aa)+$', 'repeats a group'],
    ['(a+)+b', 'repeats a group'],
    ['(?:a|a){3,}b', 'repeats a group'],
    ['a*a*b', 'one part after another'],
    ['a+a+a+', 'one part after another'],
    ['a{0,100}a{0,100}b', 'one part after another'],
    ['(a*a*)b', 'one part after another'],
    ['a?a?a?a?a?a?a?b', 'may be missing'],
    ['(a)\\1', 'refers back'],
    ['(?<=a)b', 'looks behind'],
    ['a(?=b*c)', 'looks ahead'],
    ['a++*', 'repeats what repeats'],
    ['(a', 'not closed'],
    ['a)', 'closes nothing'],
    ['[a', 'not closed'],
    ['a'.repeat(3_000), 'at most 2000'],
  ])('is refused with the pattern %s', (pattern, reason) => {
    expect(patternFault(pattern)).toContain(reason);
    expect(() => parsed(split(pattern))).toThrow(
      expect.objectContaining({ code: 'BUNDLE_INVALID' }) as Error,
    );
  });

  it('is refused when its names are written in escapes', () => {
    const json = new TextDecoder().decode(picoTokenizer());
    const fields = JSON.stringify({ ...(JSON.parse(json) as object), ...split('(a|aa)+$') });
    const hidden = fields.replace('"Regex"', '"\\u0052egex"');
    expect(() => Tokenizer.parse(new TextEncoder().encode(hidden))).toThrow('repeats a group');
  });

  it('may replace, but not so that a text grows without measure', async () => {
    expect((await parsed(replacing(1)).encode(['aa'], 24)).length).toBe(1);
    expect(() => parsed(replacing(8))).toThrow('100000000 times as long; at most 16 times');
  });
});
