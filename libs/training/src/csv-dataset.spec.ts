import { describe, expect, it } from 'vitest';
import { readCsv, readDataset } from './csv-dataset.js';

const bytes = (text: string) => new TextEncoder().encode(text);
const read = (text: string) => readDataset(bytes(text), 'a.csv');

describe('a good file', () => {
  it('may quote fields, hold line breaks, end lines with CRLF and begin with a byte order mark', () => {
    const rows = read(
      '\uFEFFtext,label\r\n"say ""hi"", twice",greeting\r\n"two\r\nlines",other\r\n\r\nplain,other\r\n',
    );
    expect(rows.map(({ text, label }) => [text, label])).toEqual([
      ['say "hi", twice', 'greeting'],
      ['two\r\nlines', 'other'],
      ['plain', 'other'],
    ]);
    expect(rows.map(({ id, line, slice }) => [id, line, slice])).toEqual([
      ['1', 2, ''],
      ['2', 4, ''],
      ['3', 6, ''],
    ]);
  });

  it('may lack the last line break, and hold separators that are none', () => {
    expect(read('label,text\na,x\u2028y\u0085z')[0]).toMatchObject({ text: 'x\u2028y\u0085z', label: 'a' });
  });

  it('may carry ids and slices', () => {
    expect(read('id,text,label,slice\nq7,x,a,short\n')[0]).toMatchObject({ id: 'q7', slice: 'short' });
  });

  it('may have further columns when the caller says that they are to be ignored', () => {
    const text = 'text,label,domain\nx,a,d\n';
    expect(readDataset(bytes(text), 'a.csv', { ignoredColumns: ['domain'] })).toHaveLength(1);
    expect(readCsv(bytes(text), 'a.csv')[0]).toMatchObject({ text: 'x', label: 'a' });
  });
});

describe('a bad file is refused with its name, the line and the cure', () => {
  const fault = (text: string | Uint8Array) => {
    try {
      readDataset(typeof text === 'string' ? bytes(text) : text, 'a.csv');
    } catch (error) {
      return error as { code: string; message: string };
    }
    throw new Error('was not refused');
  };

  it.each([
    ['nothing', '', /empty.*header line/],
    ['a header alone', 'text,label\n', /no rows.*add a row/],
    ['no header', 'SECRET card,card_lost\n', /line 1 names no column text and no column label.*header/],
    ['no label column', 'text,intent\nSECRET,a\n', /line 1 names no column label/],
    ['a column twice', 'text,text,label\nx,y,a\n', /line 1 names the column "text" twice/],
    [
      'an unknown column',
      'text,label,mood\nSECRET,a,b\n',
      /line 1 names the unknown column "mood".*known are text/,
    ],
    ['too few fields', 'text,label\nx,a\nSECRET\n', /line 3 has another number of fields.*quote/],
    ['an open quote', 'text,label\nx,a\n"SECRET,b\n', /line 3 opens a quote that nothing closes/],
    ['a quote in the middle', 'text,label\nx,a\nSEC"RET,b\n', /line 3 has a quote inside/],
    [
      'a fault after blank lines',
      'text,label\r\n"x\r\ny",a\r\n\r\n\r\n"SECRET,b\r\n',
      /line 6 opens a quote/,
    ],
    ['an empty text', 'text,label\nx,a\n  ,b\n', /line 3 has an empty text/],
    ['an empty label', 'text,label\nSECRET,\n', /line 2 has an empty label/],
    [
      'swapped columns',
      `label,text\n${'SECRET '.repeat(50)},a\n`,
      /line 2 has a label of \d+ characters.*swapped/,
    ],
    ['an id twice', 'id,text,label\n1,x,a\n2,y,a\n1,SECRET,a\n', /lines 2 and 4 have the same id/],
    ['an empty id', 'id,text,label\n,SECRET,a\n', /line 2 has an empty id/],
  ])('%s', (_name, text, pattern) => {
    const error = fault(text);
    expect(error.code).toBe('DATASET_INVALID');
    expect(error.message).toMatch(/^a\.csv: /);
    expect(error.message).toMatch(pattern);
    expect(error.message).not.toContain('SECRET');
  });

  it('another encoding, at the line where it shows', () => {
    const latin1 = Buffer.from('text,label\nplain,a\ncaf\u00e9,b\n', 'latin1');
    expect(fault(latin1).message).toMatch(/line 3 is not UTF-8; save/);
    expect(fault(Buffer.from('text,label\nx,a\n\xff', 'latin1')).message).toMatch(/line 3 is not UTF-8/);
    const wide = Buffer.from('text,label\nplain,a\n', 'utf16le');
    expect(fault(wide).message).toMatch(/line 1 holds a NUL character, as UTF-16 has it; save/);
    expect(fault(Buffer.concat([Buffer.from([0xff, 0xfe]), wide])).message).toMatch(/line 1 is not UTF-8/);
  });
});
