import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fillFromLine, PLACE, RowFields, TEXT_PLACES } from './row-fields.js';
import { RowScanner } from './scan-row.js';

const encoder = new TextEncoder();

function read(line: string, how: 'scan' | 'parse') {
  const fields = new RowFields();
  const bytes = encoder.encode(line);
  if (how === 'parse') fillFromLine(fields, line, 'f', 1);
  else if (!new RowScanner().scan(fields, bytes, 0, bytes.length)) return undefined;
  const texts = TEXT_PLACES.map((_, place) => (fields.from[place]! < 0 ? undefined : fields.textAt(place)));
  return { texts, score: fields.score, tokens: fields.tokens, textLength: fields.textLength };
}

const text = fc.oneof(
  fc.string({ minLength: 1 }),
  fc.string({ unit: 'grapheme', minLength: 1 }),
  fc.constantFrom('a', 'yes'),
);
const score = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.integer({ min: -1_000_000, max: 1_000_000 }).map((whole) => whole / 1e6),
  fc.constantFrom(0, -0, 1, 0.1, 1e21, 1e-7, 123456789012345),
);
const row = fc.record(
  {
    id: text,
    label: text,
    prediction: text,
    score,
    slice: text,
    text: fc.string(),
    tokens: fc.nat(),
    tenant: text,
  },
  { requiredKeys: ['id', 'label', 'prediction'] },
);
const spaces = fc.constantFrom('', ' ', '\t', ' \r');

describe('RowScanner', () => {
  it('finds in a row what the parser finds, or leaves it alone', () => {
    let scanned = 0;
    fc.assert(
      fc.property(row, spaces, (value, space) => {
        const line = JSON.stringify(value).replace('":', `"${space}:${space}`) + space;
        const found = read(line, 'scan');
        if (found === undefined) return;
        scanned += 1;
        expect(found).toEqual(read(line, 'parse'));
      }),
      { numRuns: 3000 },
    );
    expect(scanned).toBeGreaterThan(100);
  });

  it.each([
    '{"id":"1","label":"a","prediction":"a","score":0.831234}',
    ' { "prediction" : "b" , "label" : "a" , "id" : "x" , "tokens" : 12 } \r',
    '{"id":"1","label":"a","prediction":"a","score":-0.5,"text":"how late is it","language":"en"}',
  ])('scans %s', (line) => {
    expect(read(line, 'scan')).toEqual(read(line, 'parse'));
    expect(read(line, 'scan')!.texts[PLACE.id]).toBeDefined();
  });

  it.each([
    '{"id":1,"label":"a","prediction":"a"}',
    '{"id":"1","label":"a"}',
    '{"id":"1","label":"","prediction":"a"}',
    '{"id":"1","label":"a","prediction":"a","id":"2"}',
    '{"id":"1","label":"a","prediction":"a","score":01}',
    '{"id":"1","label":"a","prediction":"a","score":1.}',
    '{"id":"1","label":"a","prediction":"a","score":- 1}',
    '{"id":"1","label":"a","prediction":"a","score":NaN}',
    '{"id":"1","label":"a","prediction":"a","score":"1"}',
    '{"id":"1","label":"a","prediction":"a","tokens":-1}',
    '{"id":"1","label":"a","prediction":"a","confidence":1}',
    '{"id":"1","label":"a","prediction":"a"',
    '{"id":"1","label":"a","prediction":"a"}}',
    '{"id":"1","label":"a","prediction":"a",}',
    '{"id":"1" "label":"a","prediction":"a"}',
    '{"id":"1","label":"\\u0061","prediction":"a"}',
    '{"id":"1","label":"é","prediction":"a"}',
    '{"id":"\u0001","label":"a","prediction":"a"}',
    '["id"]',
    '',
  ])('leaves %j to the parser', (line) => {
    expect(read(line, 'scan')).toBeUndefined();
  });
});
