import { describe, expect, it } from 'vitest';
import { MAX_MEASURED_PROMPT_BYTES, readMeasuredPrompts, type MeasuredTask } from './measured-prompts.js';

const read = (text: string, task: MeasuredTask = 'fill-mask') =>
  readMeasuredPrompts(new TextEncoder().encode(text), 'p.jsonl', task);
const line = (value: unknown) => `${JSON.stringify(value)}\n`;

describe('prompts that experts are measured on', () => {
  it('keep id, group, domain and label; the line is the id where there is none', () => {
    const text = [
      line({ text: 'a b\u2028c', id: 7, group: 'g', domain: 'law' }),
      '\n',
      line({ text: 'd', doc: 3 }),
    ].join('');
    expect(read(text)).toEqual([
      { id: '7', text: 'a b\u2028c', group: 'g', domain: 'law', line: 1 },
      { id: '3', text: 'd', group: '3', domain: '', line: 3 },
    ]);
    expect(read(line({ text: 'a', label: 'yes' }), 'text-classification')).toEqual([
      { id: '1', text: 'a', label: 'yes', domain: '', line: 1 },
    ]);
  });

  it.each([
    ['no prompt', '\n\n', /holds no prompt/],
    ['an empty text', line({ text: 'a' }) + line({ text: ' \t' }), /line 2 has an empty text/],
    [
      'an id twice',
      line({ text: 'a', id: 'x' }) + line({ text: 'b', id: 'x' }),
      /line 2 has the id of line 1/,
    ],
    [
      'an id that is the line of another',
      line({ text: 'a', id: '2' }) + line({ text: 'b' }),
      /line 2 has the id/,
    ],
    ['an unknown field', line({ text: 'a', txet: 'b' }), /line 1 has the unknown field "txet"; .*text, id/],
    ['a label where none is read', line({ text: 'a', label: 'b' }), /unknown field "label"/],
    ['two names of one thing', line({ text: 'a', doc: 'd', group: 'g' }), /"group" and "doc"/],
    ['no text', line({ id: 'a' }), /wrong at text: must be a string/],
    ['what is no object', '[1]\n', /wrong at its top/],
    ['what is no JSON', '{"text": "secret words\n', /line 1 is not JSON/],
    ['a long text', line({ text: 'é'.repeat(500_000) }), /a text of 1000000 bytes; at most 262144/],
  ])('are refused with %s, by line, and without a word of theirs', (_, text, reason) => {
    expect(() => read(text)).toThrow(reason);
    expect(() => read(text)).not.toThrow(/secret|éé/);
  });

  it('are refused without a label where it judges, and in bytes that are no UTF-8', () => {
    expect(() => read(line({ text: 'a' }), 'text-classification')).toThrow(/wrong at label/);
    const bytes = new Uint8Array([...new TextEncoder().encode(line({ text: 'a' })), 0xff, 0xfe, 10]);
    expect(() => readMeasuredPrompts(bytes, 'p.jsonl', 'fill-mask')).toThrow(/line 2 is not UTF-8/);
  });

  it('may be as long as the limit', () => {
    expect(read(line({ text: 'a'.repeat(MAX_MEASURED_PROMPT_BYTES) }))).toHaveLength(1);
  });
});
