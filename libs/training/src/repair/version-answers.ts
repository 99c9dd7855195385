import type { DatasetRow } from '../csv-dataset.js';
import { openClassifier, type ClassifierTools } from '../methods/open-classifier.js';
import type { ExpertVersion } from './check-repairable.js';

/**
 * Log-probabilities [rows, labels] of a version, as it is served, in the order of the labels given.
 * @throws what opening the classifier throws
 */
export async function answersOf(
  { expert, base }: ExpertVersion,
  rows: readonly DatasetRow[],
  labels: readonly string[],
  tools: Omit<ClassifierTools, 'base'>,
  onRows: (done: number) => void,
): Promise<Float64Array> {
  const classifier = await openClassifier(expert, { ...tools, base });
  try {
    const own = await classifier.answer(
      rows.map(({ text }) => text),
      onRows,
    );
    const width = labels.length;
    const places = labels.map((label) => classifier.labels.indexOf(label));
    return own.map((_, at) => own[at - (at % width) + places[at % width]!]!);
  } finally {
    await classifier.release();
  }
}
