// Rows of a task by what they are for.
import { readCsv, rowUse } from '@thalamus/training';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { MORE_ROWS, UPDATE_SPLIT, UPDATE_TASKS } from './pairs.mjs';

/**
 * `train` and `choose` make both versions, v1 by the first `trainOld` of the rows, `repair` and `validation` the adapters; the four share
 * no text. Another seed draws other rows, but for the test rows. Drawn rows take turns by label, so that few rows hold every label.
 */
export function readUpdateRows(folder, set, seed, repair) {
  const read = (part) => readCsv(readFileSync(join(folder, `${set}.${part}.csv`)), `${set}.${part}.csv`);
  const rows = read('train');
  const { train: trainOld, validation, test } = UPDATE_TASKS[set];
  const train = Math.round(MORE_ROWS * trainOld);
  const of = (use) => rows.filter(({ text }) => rowUse(text, UPDATE_SPLIT) === use);
  const forVersions = drawn(of('expert'), train + validation, `${seed}`);
  return {
    trainOld: forVersions.slice(0, trainOld),
    train: forVersions.slice(0, train),
    choose: forVersions.slice(train),
    repair: drawn(of('router'), repair, `${seed}`),
    validation: drawn(of('validation'), validation, `${seed}`),
    test: drawn(read('test'), test, 'test'),
  };
}

function drawn(rows, count, salt) {
  const hash = ({ text }) => createHash('sha256').update(`${salt}\n${text}`).digest('hex');
  const turns = new Map();
  return rows
    .map((row) => ({ row, key: hash(row) }))
    .sort((a, b) => (a.key < b.key ? -1 : 1))
    .map((each) => {
      const turn = turns.get(each.row.label) ?? 0;
      turns.set(each.row.label, turn + 1);
      return { ...each, turn };
    })
    .sort((a, b) => a.turn - b.turn)
    .slice(0, count)
    .map(({ row }) => row);
}
