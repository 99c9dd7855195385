import { readCsv } from '@thalamus/training';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const FOLDER = fileURLToPath(new URL('../../../zoo/data/sample/', import.meta.url));
/** Tokens of a text of each kind, special ones included: all of one length, so that sorting by length gains nothing. */
export const LENGTHS = { word: 4, short: 16, long: 128 };

/** Texts of one length in tokens each, cut from the committed samples of all tasks; `mixed` are the samples as they are. */
export async function textsOf(kind, count, tokenizer) {
  const samples = readdirSync(FOLDER)
    .filter((name) => name.endsWith('.test.csv'))
    .sort()
    .map((name) => readCsv(readFileSync(join(FOLDER, name)), name).map(({ text }) => text));
  if (kind === 'mixed')
    return Array.from({ length: count }, (_, i) => {
      const own = samples[i % samples.length];
      return own[Math.floor(i / samples.length) % own.length];
    });
  const words = samples.flat().flatMap((text) => text.split(/\s+/));
  return ofOneLength({ kind, count, words: words.filter(Boolean), tokenizer });
}

async function ofOneLength({ kind, count, words, tokenizer }) {
  const texts = [];
  for (let at = 0; texts.length < count; at = (at + 97) % words.length)
    texts.push(await cutTo(LENGTHS[kind], words, at, tokenizer));
  return texts;
}

/** Words from a place on, as many as fit, filled up with words of one token each. */
async function cutTo(tokens, words, at, tokenizer) {
  const chosen = Array.from({ length: tokens }, (_, i) => words[(at + i) % words.length]);
  const size = async (list) => (await tokenizer.encode([list.join(' ')], 4 * tokens))[0].ids.length;
  while (chosen.length > 1 && (await size(chosen)) > tokens) chosen.pop();
  while ((await size(chosen)) < tokens) chosen.push('money');
  return chosen.join(' ');
}
