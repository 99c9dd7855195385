import { describe, expect, it } from 'vitest';
import { pairAnswers } from './answered-prompts.js';

const file = (name: string, rows: readonly object[]) => ({
  file: name,
  text: rows.map((row) => JSON.stringify(row)).join('\n'),
});
const old = { id: 1, label: 'yes', prediction: 'yes', text: 'Is 7 prime?', slice: 'primes', task: 'maths' };
const own = { id: '1', label: 'yes', prediction: 'no', score: 0.25 };
const pair = (before: readonly object[], after: readonly object[]) =>
  pairAnswers(file('old.jsonl', before), file('new.jsonl', after));

describe('pairAnswers', () => {
  it('pairs rows by id, whatever their order, with the text and the slices of either file', () => {
    const other = { id: 'b', label: 'x', prediction: 'y' };
    const asked = { ...other, prediction: 'x', text: 'Name it.', language: 'en' };
    expect(pair([old, other], [asked, own])).toEqual([
      {
        id: '1',
        text: 'Is 7 prime?',
        slices: ['primes', 'task=maths'],
        before: { prediction: 'yes', isRight: true },
        after: { prediction: 'no', isRight: false, score: 0.25 },
      },
      {
        id: 'b',
        text: 'Name it.',
        slices: ['language=en'],
        before: { prediction: 'y', isRight: false },
        after: { prediction: 'x', isRight: true },
      },
    ]);
  });

  it.each([
    [
      'an item of the new file alone',
      [old],
      [own, { ...own, id: 'z' }],
      /new\.jsonl, line 2: .*"z" is not in/,
    ],
    [
      'an item of the old file alone',
      [old, { ...old, id: 'z' }],
      [own],
      /old\.jsonl, line 2: .*"z" is not in/,
    ],
    ['an id twice', [old, old], [own], /old\.jsonl, line 2: the id "1" stands on line 1 already/],
    ['no text', [{ ...old, text: undefined }], [own], /old\.jsonl, line 1: .*has no "text" in either file/],
    ['an empty text', [{ ...old, text: ' ' }], [own], /has no "text"/],
    ['another text', [old], [{ ...own, text: 'Is 8?' }], /new\.jsonl, line 1: .*another text than on line 1/],
    ['another label', [old], [{ ...own, label: 'no' }], /new\.jsonl, line 1: .*another label/],
    ['another slice', [old], [{ ...own, task: 'law' }], /new\.jsonl, line 1: .*another task/],
    ['a score that is none', [old], [{ ...own, score: 'good' }], /new\.jsonl, line 1 has the text "good" as/],
    ['an unknown field', [old], [{ ...own, answer: 1 }], /new\.jsonl, line 1 has the unknown field "answer"/],
    ['no rows', [old], [], /new\.jsonl holds no predictions/],
  ])('refuses %s', (_, before, after, message) => {
    expect(() => pair(before, after)).toThrow(message);
  });

  it('wants a score from 0 to 1 of every row where losses are made of scores', () => {
    const scored = (score?: number) =>
      pairAnswers(file('old.jsonl', [{ ...old, score: 1 }]), file('new.jsonl', [{ ...own, score }]), {
        isScored: true,
      });
    expect(scored(0)[0]!.after).toEqual({ prediction: 'no', isRight: false, score: 0 });
    expect(() => scored()).toThrow(/new\.jsonl, line 1: the item "1" has no score/);
    expect(() => scored(1.5)).toThrow(/new\.jsonl, line 1: the item "1" has the score 1.5/);
  });

  it('says that NaN is no number, and never shows a prompt', () => {
    const after = { file: 'new.jsonl', text: '{"id":1,"label":"yes","prediction":"no","score":NaN}' };
    expect(() => pairAnswers(file('old.jsonl', [old]), after)).toThrow(/line 1 is not JSON: NaN/);
    expect(() => pair([old], [{ ...own, text: 'Is 8?' }])).not.toThrow(/Is [78]/);
  });
});
