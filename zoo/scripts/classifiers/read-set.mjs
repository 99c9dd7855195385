// Rows of a set by what they may be used for.
import { readCsv, rowUse } from '@thalamus/training';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SPLIT_RULE } from '../tasks.mjs';

/** Rows to train on, to choose by, and to judge by. */
export function readSet(folder, set) {
  const read = (part) => readCsv(readFileSync(join(folder, `${set}.${part}.csv`)), `${set}.${part}.csv`);
  const rows = read('train');
  const of = (use) => rows.filter(({ text }) => rowUse(text, SPLIT_RULE) === use);
  return { train: of('expert'), validation: of('validation'), test: read('test') };
}
