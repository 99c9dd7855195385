import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { duplicateKey } from './duplicate-key.js';
import { readJsonObject, writeJson } from './read-json.js';

const read = (text: string, integers?: 'exact') => readJsonObject(Buffer.from(text), integers);

describe('a JSON object', () => {
  it('is read as JSON.parse does', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
        const text = JSON.stringify(value);
        expect(read(text)).toEqual(JSON.parse(text));
        // No number of such a value is whole and beyond 2^53 unless it is written with an exponent.
        if (!/\d{16}/.test(text)) expect(read(text, 'exact')).toEqual(JSON.parse(text));
      }),
      { numRuns: 200 },
    );
  });

  it('keeps whole numbers of any size when that is asked for, and writes them back', () => {
    const whole = fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n });
    fc.assert(
      fc.property(fc.array(whole), (numbers) => {
        const text = `{"a":[${numbers.join(', ')}]}`;
        const { a } = read(text, 'exact') as { a: (number | bigint)[] };
        expect(a.map(BigInt)).toEqual(numbers);
        expect(writeJson({ a })).toBe(`{"a":[${numbers.join(',')}]}`);
      }),
      { numRuns: 200 },
    );
    expect(read('{"a":12345678901234567.5,"b":1234567890123456789e2}', 'exact')).toEqual({
      a: 12345678901234567.5,
      b: 1234567890123456789e2,
    });
  });

  it.each([
    ['{"a":1,"a":2}', 'a'],
    ['{"a":[1,2,{"b":1,"c":[],"b":2}]}', 'a.b'],
    ['{"a":[[1,2],["x","x"]],"b":{"c":"}","c":1}}', 'b.c'],
    ['{"a":[1,2],"b":"\\"a\\":","b":3}', 'b'],
    ['{"a":{"b":1},"c":{"b":[{"b":1}]}}', undefined],
    ['{"a":["a","a",{"a":"a"}],"b":[]}', undefined],
  ])('%s gives twice: %s', (text, twice) => {
    expect(duplicateKey(text)).toBe(twice);
    if (twice === undefined) expect(read(text)).toEqual(JSON.parse(text));
    else expect(() => read(text)).toThrow(`${twice}: is given twice`);
  });

  it.each([
    ['', 'is empty'],
    ['[]', 'not an object'],
    ['null', 'not an object'],
    ['{"secret": "x', 'not JSON'],
  ])('%j is refused without being repeated', (text, says) => {
    expect(() => read(text)).toThrow(says);
    expect(() => read(text)).not.toThrow('secret');
    expect(() => readJsonObject(Uint8Array.of(0x7b, 0xff))).toThrow('not UTF-8');
  });
});
