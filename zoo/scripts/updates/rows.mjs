// Rows of a task by what they are for.
import { readCsv, rowUse } from '@thalamus/training';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { MORE_ROWS, UPDATE_SPLIT, UPDATE_TASKS } from './pairs.mjs';

/** Rows that judge in a pilot. */
const PILOT_ROWS = 800;

/**
 * `train` and `choose` make both versions, v1 by the first `trainOld` of the rows, `repair` and `validation` the adapters; the four share
 * no text. Another seed draws other rows, but for the test rows. Drawn rows take turns by label, so that few rows hold every label.
 * A pilot judges by rows of the train file that nothing else uses, so that settings are chosen before a test row is read.
 */
export function readUpdateRows(folder, set, seed, { repair, isPilot = false }) {
  const read = (part) => readCsv(readFileSync(join(folder, `${set}.${part}.csv`)), `${set}.${part}.csv`);
  const rows = read('train');
  const { train: trainOld, validation, test } = UPDATE_TASKS[set];
  const train = Math.round(MORE_ROWS * trainOld);
  const of = (use) => rows.filter(({ text }) => rowUse(text, UPDATE_SPLIT) === use);
  const used = train + validation;
  const own = drawn(of('expert'), used + (isPilot ? PILOT_ROWS : 0), `${seed}`);
  const forVersions = own.slice(0, used);
  return {
    trainOld: forVersions.slice(0, trainOld),
    train: forVersions.slice(0, train),
    choose: forVersions.slice(train),
    repair: drawn(of('router'), repair, `${seed}`),
    validation: drawn(of('validation'), validation, `${seed}`),
    test: isPilot ? own.slice(used) : drawn(read('test'), test, 'test'),
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
