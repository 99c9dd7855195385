// Texts cut between words into pieces of at most so many tokens.
import { createHash } from 'node:crypto';

/** Longest word that is measured, tokens. */
const LONGEST_WORD = 100_000;
/** Longest name of a document that stands in an id, characters; a longer one is replaced by its digest. */
const LONGEST_NAME = 128;

/**
 * Pieces {id, text, group, domain} of the documents of a domain, in order. Rows {text, doc} of one document are joined; a row without one is
 * a document of its own. `tokens` cuts at white space first, so that a text has as many word pieces as its words. What is left of a
 * document with fewer than `least` tokens is dropped; special tokens count.
 */
export async function piecesOf(domain, rows, { tokens, least, most }) {
  const documents = new Map();
  for (const { text, doc } of rows) {
    const name = doc === '' || doc.length > LONGEST_NAME ? digestOf(doc || text) : doc;
    const group = `${domain}:${name}`;
    documents.set(group, [...(documents.get(group) ?? []), text]);
  }
  const pieces = [];
  for (const [group, texts] of documents) {
    const words = texts.join('\n').split(/(\s+)/);
    const cut = cutWords(words, await sizesOf(words, tokens), { least, most });
    for (const [at, text] of cut.entries()) pieces.push({ id: `${group}#${at + 1}`, text, group, domain });
  }
  return pieces;
}

function digestOf(text) {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

function cutWords(words, sizes, { least, most }) {
  const texts = [];
  let text = '';
  let count = 2;
  const end = () => {
    if (count >= least) texts.push(text.trim());
    text = '';
    count = 2;
  };
  for (const word of words) {
    const size = sizes.get(word) ?? 0;
    if (count + size > most) end();
    text += word;
    count += size;
  }
  end();
  return texts;
}

/** Word pieces of each word. */
async function sizesOf(words, tokens) {
  const distinct = [...new Set(words)].filter((word) => word.trim() !== '');
  const encoded = await tokens.encode(distinct, LONGEST_WORD);
  return new Map(distinct.map((word, at) => [word, encoded[at].ids.length - 2]));
}
