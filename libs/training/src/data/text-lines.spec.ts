import { describe, expect, it } from 'vitest';
import { readTextLines } from './text-lines.js';

const read = (text: string) => readTextLines(Buffer.from(text), 'notes.jsonl');

describe('readTextLines', () => {
  it('splits on line feeds alone: other separators belong to the text', () => {
    const text = 'one\u2028two\u0085three\u2029four';
    expect(read(`${JSON.stringify({ text, doc: 'a' })}\n\n{"text":"x","doc":7}\r\n{"text":"y"}`)).toEqual([
      { text, doc: 'a', line: 1 },
      { text: 'x', doc: '7', line: 3 },
      { text: 'y', doc: '', line: 4 },
    ]);
  });

  it.each([
    ['', /file is empty; give it a line/],
    ['\n \n', /file is empty/],
    ['{"text":"ok"}\nSECRET', /notes\.jsonl: line 2 is not JSON/],
    ['["SECRET"]', /line 1 is not an object/],
    ['null', /line 1 is not an object/],
    ['{"txt":"SECRET"}', /line 1 has no "text" that is a string/],
    ['{"text":5}', /line 1 has no "text"/],
    ['{"text":"  "}', /line 1 has an empty text/],
    ['{"text":"a","doc":{}}', /line 1 has a "doc"/],
  ])('refuses %j, saying where and never quoting', (content, message) => {
    expect(() => read(content)).toThrow(message);
    try {
      read(content);
    } catch (fault) {
      expect(String(fault)).not.toContain('SECRET');
    }
  });

  it('names the line that is not UTF-8', () => {
    const bytes = Buffer.concat([
      Buffer.from('{"text":"a"}\n{"text":"'),
      Buffer.from([0xe9]),
      Buffer.from('"}\n'),
    ]);
    expect(() => readTextLines(bytes, 'latin.jsonl')).toThrow(
      'latin.jsonl: line 2 is not UTF-8; save the file as UTF-8.',
    );
  });
});
