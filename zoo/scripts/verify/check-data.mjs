// Checks of the committed splits, samples and loss table against the full data files.
import { normalised, readCsv, rowUse, writeCsv } from '@thalamus/training';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROUTED_TASKS, ROUTER_ROWS, rowId, sampleOf, SPLIT_RULE, TASKS } from '../tasks.mjs';
import { readLossTable, readSplits } from './check-index.mjs';
import { differs } from './report.mjs';

/** Rows of the train and test file of every set, with the use of each train row by the committed manifest. */
export function readData(folder, zoo) {
  const { sets } = readSplits(zoo);
  return TASKS.map(({ set }) => {
    const read = (kind) => {
      const bytes = readFileSync(join(folder, `${set}.${kind}.csv`));
      return { bytes, rows: readCsv(bytes, `${set}.${kind}.csv`) };
    };
    const train = read('train');
    const uses = [...(sets[set]?.uses ?? '')].map(
      (letter) => ({ e: 'expert', r: 'router', v: 'validation' })[letter],
    );
    return {
      set,
      train: train.rows,
      trainSha256: createHash('sha256').update(train.bytes).digest('hex'),
      test: read('test').rows,
      uses,
    };
  });
}

/** The committed uses are those of the rule, the files are those that were split, and no text is in two parts. */
export function checkLeaks(zoo, data, report) {
  const { sets } = readSplits(zoo);
  const faults = [];
  const where = new Map();
  for (const { set, train, trainSha256, uses } of data) {
    faults.push(...differs(`${set}.train.csv`, trainSha256, sets[set].trainSha256));
    train.forEach((row, index) => {
      if (uses[index] !== rowUse(row.text, SPLIT_RULE))
        faults.push(`row ${index + 1} of ${set} is kept for ${uses[index]}, which is not what the rule says`);
      const key = normalised(row.text);
      const other = where.get(key);
      // Sets overlap in a few texts; what counts is that a text has one use everywhere.
      if (other !== undefined && other !== uses[index])
        faults.push(`row ${index + 1} of ${set} is also a row for ${other}`);
      where.set(key, uses[index]);
    });
  }
  for (const { set, test } of data)
    test.forEach((row, index) => {
      const use = where.get(normalised(row.text));
      if (use !== undefined) faults.push(`test row ${index + 1} of ${set} is also a row for ${use}`);
    });
  const count = data.reduce((sum, { train, test }) => sum + train.length + test.length, 0);
  report.add('no text in two parts', faults, `${count} rows of ${data.length} sets`);
}

/** The committed samples are those that the rule picks. */
export function checkSampleFiles(zoo, data, report) {
  const faults = [];
  for (const { set, train, test, uses } of data) {
    const expected = {
      train: sampleOf(train.filter((_, index) => uses[index] === 'expert')),
      router: sampleOf(
        train.filter((_, index) => uses[index] === 'router'),
        ROUTER_ROWS,
      ),
      test: sampleOf(test),
    };
    for (const [kind, rows] of Object.entries(expected))
      if (readFileSync(join(zoo, `data/sample/${set}.${kind}.csv`), 'utf8') !== writeCsv(rows))
        faults.push(`${set}.${kind}.csv is not what the rule picks from the data`);
  }
  report.add('samples from the data', faults);
}

/** The rows of the loss table are the router's and the validation rows of the data, and no others. */
export function checkLossRows(zoo, data, report) {
  const expected = new Map();
  const routed = new Set(ROUTED_TASKS.map(({ set }) => set));
  for (const { set, train, uses } of data.filter((one) => routed.has(one.set)))
    train.forEach((row, index) => {
      if (uses[index] !== 'expert') expected.set(rowId(set, row.text), uses[index]);
    });
  const faults = [];
  for (const { id, use } of readLossTable(zoo).rows) {
    if (expected.get(id) !== use)
      faults.push(`${id} is a row for ${use}, but the data says ${expected.get(id) ?? 'it is none'}`);
    expected.delete(id);
  }
  if (expected.size > 0) faults.push(`${expected.size} rows of the data are missing`);
  report.add('rows of the loss table', faults);
}
