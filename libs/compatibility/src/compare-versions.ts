import { comparePairs, type Comparison } from './compare-pairs.js';
import { PairedPredictions } from './pairs/paired-predictions.js';
import { fillFromRow, RowFields } from './pairs/row-fields.js';
import type { Prediction } from './predictions.js';

const NO_SLICE = -1;

/**
 * Compares two versions on the same items, given as lists: see `comparePairs`. For large files use `FileComparison`, which reads them piece by piece.
 * @throws DATASET_INVALID when the lists hold other items or other right labels.
 */
export function compareVersions(
  before: readonly Prediction[],
  after: readonly Prediction[],
  negativeFlipBudget: number,
): Comparison {
  const width = before.reduce((most, { slices }) => Math.max(most, slices.length), 0);
  const pairs = new PairedPredictions(
    { before: 'the old predictions', after: 'the new predictions', row: 'row' },
    width,
  );
  const fields = new RowFields();
  const codes = new Int32Array(width);
  before.forEach((row, at) => {
    fillFromRow(fields, row);
    for (let own = 0; own < width; own++) {
      const name = row.slices[own];
      codes[own] = name === undefined ? NO_SLICE : pairs.sliceNames.codeOf(name);
    }
    pairs.addBefore(fields, codes, at + 1);
  });
  codes.fill(NO_SLICE);
  after.forEach((row, at) => {
    fillFromRow(fields, row);
    pairs.addAfter(fields, codes, at + 1);
  });
  return comparePairs(pairs.count(Infinity), negativeFlipBudget);
}
