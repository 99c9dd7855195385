import { describe, expect, it } from 'vitest';
import { piecesOf } from '../scripts/router/pieces.mjs';

/** As many tokens as letters, and two. */
const tokens = { encode: async (texts) => texts.map((text) => ({ ids: Array.from(text + '[]') })) };
const limits = { tokens, least: 5, most: 10 };

describe('pieces of documents', () => {
  it('end between words, hold no more tokens than asked for, and leave nothing out but short ends', async () => {
    const rows = [
      { text: 'aaa bbb\n  cc', doc: 'd' },
      { text: 'ddd eeeeeeeeeeee ff', doc: 'd' },
      { text: 'gg', doc: '' },
      { text: 'hhh', doc: '' },
    ];
    const pieces = await piecesOf('law', rows, limits);
    expect(pieces.map(({ text }) => text)).toEqual(['aaa bbb\n  cc', 'ddd', 'eeeeeeeeeeee', 'hhh']);
    expect(pieces.slice(0, 3).map(({ id, group, domain }) => [id, group, domain])).toEqual(
      [1, 2, 3].map((at) => [`law:d#${at}`, 'law:d', 'law']),
    );
    expect(pieces[3].group).toMatch(/^law:[0-9a-f]{16}$/);
  });
});
