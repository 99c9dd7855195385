import fc from 'fast-check';
import { readFileSync } from 'node:fs';
import { Tokenizer as LibraryTokenizer } from 'tokenizers';
import { describe, expect, it } from 'vitest';
import { AsciiWordPieces } from './ascii-word-pieces.js';

const json = readFileSync(new URL('../../../zoo/base/minilm-l6/tokenizer.json', import.meta.url), 'utf8');
const library = LibraryTokenizer.fromString(json);
library.disableTruncation();
library.disablePadding();
const pieces = AsciiWordPieces.of(json) as AsciiWordPieces;

/** The parts of a `tokenizer.json` that are changed here. */
interface Form {
  added_tokens: { normalized: boolean }[];
  normalizer: { clean_text: boolean; lowercase: boolean };
  pre_tokenizer: { type: string };
  post_processor: { single: unknown[] };
  model: { type: string; unk_token: string };
}

const changed = (change: (form: Form) => void) => {
  const form = JSON.parse(json) as Form;
  change(form);
  return JSON.stringify(form);
};
const idsOf = async (text: string) => (await library.encode(text)).getIds();
const cut = (ids: readonly number[], maxTokens: number) =>
  ids.length <= maxTokens
    ? { ids, truncated: false }
    : { ids: [...ids.slice(0, maxTokens - 1), ids.at(-1)], truncated: true };

const word = fc.oneof(
  fc.constantFrom(
    'the',
    'Unaffable',
    'HELLO',
    "don't",
    'x1y2',
    'a\u0000b',
    'a\u000bb',
    'a\u007fb',
    'e-mail',
    '[MASK]',
    '[SEP',
    'q'.repeat(99),
    'q'.repeat(101),
    '##ing',
    '{"a": [1]}',
  ),
  fc.string({ maxLength: 12 }),
  fc.string({
    unit: fc.integer({ min: 0, max: 127 }).map((code) => String.fromCharCode(code)),
    maxLength: 30,
  }),
);
const rare = fc.constantFrom(
  'caf\u00e9',
  'e\u0301',
  '\u4e2d\u56fd',
  '\u00a0',
  '\u2028',
  '\ufffd',
  '\ud83d\ude42',
  '\u00df',
);
const text = fc
  .array(fc.oneof({ weight: 30, arbitrary: word }, { weight: 1, arbitrary: rare }), { maxLength: 30 })
  .chain((words) => fc.constantFrom(' ', '', '\n', '\t ', '.').map((joint) => words.join(joint)));

describe('AsciiWordPieces', () => {
  it('gives the ids of the library wherever it gives any', async () => {
    let [given, left] = [0, 0];
    await fc.assert(
      fc.asyncProperty(
        text,
        fc.integer({ min: 1, max: 60 }),
        fc.integer({ min: 0, max: 400 }),
        async (own, maxTokens, mostRead) => {
          const ids = pieces.encode(own, maxTokens, mostRead);
          if (ids) {
            given += 1;
            expect(ids).toEqual(cut(await idsOf(own), maxTokens));
          } else left += 1;
        },
      ),
      { numRuns: 3000 },
    );
    expect(given).toBeGreaterThan(600);
    expect(left).toBeGreaterThan(100);
  });

  it('splits as the library does where case counts', async () => {
    const cased = changed((form) => (form.normalizer.lowercase = false));
    const own = AsciiWordPieces.of(cased) as AsciiWordPieces;
    const other = LibraryTokenizer.fromString(cased);
    for (const each of ['Hello world', 'hello World I', 'ALL'])
      expect(own.encode(each, 50, 1000)?.ids).toEqual((await other.encode(each)).getIds());
  });

  it('takes every text of ASCII that fits, and none with other characters or added tokens', () => {
    expect(pieces.encode('Prove that sqrt(2) is irrational.', 64, 10_000)).toBeDefined();
    for (const each of ['caf\u00e9', 'fill [MASK] in', 'a\u2028b'])
      expect(pieces.encode(each, 64, 10_000)).toBeUndefined();
  });

  it.each([
    ['another splitter', (form: Form) => (form.pre_tokenizer = { type: 'Whitespace' })],
    ['no cleaning', (form: Form) => (form.normalizer.clean_text = false)],
    ['added tokens that are looked for later', (form: Form) => (form.added_tokens[0]!.normalized = true)],
    ['another model', (form: Form) => (form.model.type = 'WordLevel')],
    ['no token for the unknown', (form: Form) => (form.model.unk_token = '<none>')],
    ['two opening tokens', (form: Form) => form.post_processor.single.unshift(form.post_processor.single[0])],
  ])('leaves tokenizers with %s to the library', (_, change) => {
    expect(AsciiWordPieces.of(changed(change))).toBeUndefined();
  });
});
