import { picoId, picoTokenizer } from '@thalamus/testing';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { padTokens, Tokenizer } from './tokenizer.js';

const bert = Tokenizer.parse(
  readFileSync(new URL('../../../zoo/base/minilm-l6/tokenizer.json', import.meta.url)),
);
const pico = Tokenizer.parse(picoTokenizer());

const idsOf = async (text: string, maxTokens = 256, tokenizer = bert) =>
  (await tokenizer.encode([text], maxTokens))[0]!;

describe('Tokenizer', () => {
  // Ids of the published vocabulary of bert-base-uncased, as its paper's code gives them.
  it.each([
    ['hello world', [101, 7592, 2088, 102]],
    ['Hello, WORLD!', [101, 7592, 1010, 2088, 999, 102]],
    ['I lost my card', [101, 1045, 2439, 2026, 4003, 102]],
    ['café naïve', [101, 7668, 15743, 102]],
    ['unaffable', [101, 14477, 20961, 3468, 102]],
    ['', [101, 102]],
    ['   \t\n ', [101, 102]],
    ['a\u0000b', [101, 11113, 102]],
    ['中国', [101, 1746, 1799, 102]],
    ['🙂', [101, 100, 102]],
    ['[SEP]', [101, 102, 102]],
  ])('gives the known ids of %j', async (text, ids) => {
    expect(await idsOf(text)).toEqual({ ids, truncated: false });
  });

  it('splits words of the pico vocabulary into its pieces', async () => {
    expect((await idsOf('The lawx', 16, pico)).ids).toEqual(
      ['[CLS]', 'the', 'law', '##x', '[SEP]'].map(picoId),
    );
  });

  it('cuts to the limit, keeps the closing token and says so', async () => {
    const whole = await idsOf('one two three four five six seven', 256);
    expect(whole.ids.length).toBe(9);
    const cut = await idsOf('one two three four five six seven', 5);
    expect(cut).toEqual({ ids: [...whole.ids.slice(0, 4), 102], truncated: true });
    expect((await idsOf('one two three four five six seven', 9)).truncated).toBe(false);
  });

  it('gives a megabyte the ids of its beginning', async () => {
    const sentence = 'The party of the first part shall indemnify the party of the second part. ';
    const long = await idsOf(sentence.repeat(14_000), 64);
    const short = await idsOf(sentence.repeat(20), 64);
    expect(long).toEqual({ ids: short.ids, truncated: true });
    expect(long.ids.length).toBe(64);
  });

  it('looks further when a long beginning holds few tokens', async () => {
    const spaces = ' '.repeat(300_000);
    expect(await idsOf(`${spaces}hello world${spaces}`)).toEqual({
      ids: [101, 7592, 2088, 102],
      truncated: false,
    });
    // A word of more than 100 letters is one unknown token, however long it is.
    expect((await idsOf(`${'x'.repeat(500_000)} hello`)).ids).toEqual([101, 100, 7592, 102]);
  });

  it('never cuts a pair of surrogates in two', async () => {
    const text = '🙂'.repeat(200_000);
    expect(await idsOf(`a${text}`, 8)).toEqual(await idsOf(`a${text.slice(0, 40_000)}`, 8));
  });

  it('keeps the order of a batch and pads it to the longest', async () => {
    const batch = await bert.encodeBatch(['hello', 'hello world again', ''], 256);
    expect(batch.inputIds.shape).toEqual([3, 5]);
    expect([...batch.inputIds.data].map(Number)).toEqual([
      101, 7592, 102, 0, 0, 101, 7592, 2088, 2153, 102, 101, 102, 0, 0, 0,
    ]);
    expect([...batch.attentionMask.data].map(Number)).toEqual([1, 1, 1, 0, 0, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0]);
    expect(batch.tokenCounts).toEqual([3, 5, 2]);
    expect(batch.truncated).toEqual([false, false, false]);
  });

  it('takes no texts as an empty batch', async () => {
    expect(padTokens(await bert.encode([], 8)).inputIds.shape).toEqual([0, 1]);
  });

  it.each([
    ['no JSON', '{'],
    ['another JSON', '{"a": 1}'],
    ['no UTF-8', Uint8Array.of(0xff, 0xfe)],
    ['nothing', ''],
  ])('refuses a tokenizer file that is %s', (_, content) => {
    const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content;
    expect(() => Tokenizer.parse(bytes)).toThrow(expect.objectContaining({ code: 'BUNDLE_INVALID' }));
  });
});
