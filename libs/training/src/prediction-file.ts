import { argMax } from '@thalamus/tensor';
import type { DatasetRow } from './csv-dataset.js';

/**
 * A prediction file: JSONL rows {id, label, prediction, score, slice?}, each line ended by `\n`, as the comparison of two
 * versions reads it. `score` is the probability of the answer, six decimals. No text of the rows is in it.
 */
export function predictionFile(
  rows: readonly DatasetRow[],
  logProbabilities: Float64Array,
  labels: readonly string[],
): string {
  const classCount = labels.length;
  return rows
    .map(({ id, label, slice }, index) => {
      const row = logProbabilities.subarray(index * classCount, (index + 1) * classCount);
      const guess = argMax(row);
      const score = Number(Math.exp(row[guess] ?? -Infinity).toFixed(6));
      const answer = { id, label, prediction: labels[guess] ?? '', score };
      return `${JSON.stringify(slice === '' ? answer : { ...answer, slice })}\n`;
    })
    .join('');
}
