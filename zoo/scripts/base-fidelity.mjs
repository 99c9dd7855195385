// How close one form of the base encoder is to another: cosine of the vectors of 1,000 committed training texts.
import { OrtRuntime, TextEncoder } from '@thalamus/inference';
import { readCsv } from '@thalamus/training';
import { cosine } from '@thalamus/tensor';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const SAMPLE = 'zoo/data/sample';
const BATCH = 8;

/** The first texts of every training sample in turn, `count` together. */
export function sampleTexts(count = 1000) {
  const files = readdirSync(SAMPLE)
    .filter((name) => name.endsWith('.train.csv'))
    .sort();
  const columns = files.map((name) => readCsv(readFileSync(join(SAMPLE, name)), name).map((row) => row.text));
  const texts = [];
  for (let row = 0; texts.length < count && columns.some((column) => row < column.length); row++) {
    for (const column of columns) if (row < column.length && texts.length < count) texts.push(column[row]);
  }
  return texts;
}

/** Vectors of the texts, row by row. */
async function encodeAll(model, tokenizer, maxTokens, texts) {
  const session = await new OrtRuntime().load({ bytes: model });
  const encoder = new TextEncoder(tokenizer, session, maxTokens);
  const order = texts.map((_, index) => index).sort((a, b) => texts[a].length - texts[b].length);
  const rows = new Array(texts.length);
  for (let from = 0; from < order.length; from += BATCH) {
    const batch = order.slice(from, from + BATCH);
    const { embeddings, width } = await encoder.encode(batch.map((index) => texts[index]));
    batch.forEach((index, at) => (rows[index] = embeddings.slice(at * width, (at + 1) * width)));
  }
  await session.release();
  return rows;
}

/** Smallest, hundredth and mean cosine between the vectors that two graphs give. */
export async function compareGraphs(reference, candidate, tokenizer, maxTokens, texts) {
  const expected = await encodeAll(reference, tokenizer, maxTokens, texts);
  const found = await encodeAll(candidate, tokenizer, maxTokens, texts);
  const all = expected.map((row, index) => ({ text: texts[index], cosine: cosine(row, found[index]) }));
  all.sort((a, b) => a.cosine - b.cosine);
  return {
    n: all.length,
    min: all[0].cosine,
    percentile1: all[Math.floor(all.length / 100)].cosine,
    mean: all.reduce((sum, { cosine: value }) => sum + value, 0) / all.length,
    worst: all.slice(0, 5),
  };
}
