import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { TextLine } from '../data/text-lines.js';
import { splitTexts } from './split-texts.js';

const lines = (documents: number, perDocument: number): TextLine[] =>
  Array.from({ length: documents * perDocument }, (_, at) => ({
    text: `text ${at}`,
    doc: `document ${Math.floor(at / perDocument)}`,
    line: at + 1,
  }));

describe('splitTexts', () => {
  it('keeps every line once and the lines of a document together', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1_000 }), fc.integer({ min: 1, max: 4 }), (seed, perDocument) => {
        const data = { lines: lines(120, perDocument), file: 'a.jsonl' };
        const split = splitTexts(data, undefined, seed);
        const parts = [split.train, split.validation, split.test];
        expect(parts.flat().toSorted((a, b) => a.line - b.line)).toEqual(data.lines);
        const documents = parts.map((part) => new Set(part.map(({ doc }) => doc)));
        const all = documents.flatMap((part) => [...part]);
        expect(new Set(all).size).toBe(all.length);
        expect(split.train.length).toBeGreaterThan(split.validation.length + split.test.length);
      }),
      { seed: 20_261_128, numRuns: 50 },
    );
  });

  it('never trains on a text of the test set', () => {
    const data = { lines: lines(60, 1), file: 'a.jsonl' };
    const test = { lines: [{ text: 'TEXT  7', doc: 'other', line: 1 }], file: 'b.jsonl' };
    const split = splitTexts(data, test, 0);
    expect(split.test).toEqual(test.lines);
    expect([...split.train, ...split.validation].map(({ text }) => text)).not.toContain('text 7');
    expect(split.train.length + split.validation.length).toBe(59);
    expect(() => splitTexts(test, test, 0)).toThrow(/every text is also in b.jsonl/);
  });

  it('refuses one document, naming the part that is empty', () => {
    expect(() => splitTexts({ lines: lines(1, 9), file: 'a.jsonl' }, undefined, 0)).toThrow(
      /a\.jsonl: 9 texts are too few to hold some out: none is left for/,
    );
  });
});
