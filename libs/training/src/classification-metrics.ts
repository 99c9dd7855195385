import { ThalamusError } from '@thalamus/errors';
import { argMax } from '@thalamus/tensor';

/** Figures of a classifier on labelled rows. */
export interface ClassificationMetrics {
  readonly n: number;
  /** Share of right answers, 0 to 1. */
  readonly accuracy: number;
  /** Mean over the classes that occur of the F1 score. */
  readonly macroF1: number;
  /** Mean cross-entropy in nats. */
  readonly logLoss: number;
  /** Expected calibration error of the top probability, fifteen equal-width bins. */
  readonly calibrationError: number;
}

/** Figures from log-probabilities [rows, classes] and true classes. @throws DATASET_INVALID without rows. */
export function classificationMetrics(
  logProbabilities: Float64Array,
  classes: Int32Array,
  classCount: number,
): ClassificationMetrics {
  const rows = classes.length;
  if (rows === 0)
    throw new ThalamusError('DATASET_INVALID', 'There are no rows to measure on; give at least one.');
  const truePositives = new Float64Array(classCount);
  const predicted = new Float64Array(classCount);
  const actual = new Float64Array(classCount);
  const bins = Array.from({ length: 15 }, () => ({ n: 0, right: 0, confidence: 0 }));
  let right = 0;
  let loss = 0;
  for (let row = 0; row < rows; row++) {
    const slice = logProbabilities.subarray(row * classCount, (row + 1) * classCount);
    const guess = argMax(slice);
    const truth = classes[row]!;
    predicted[guess]!++;
    actual[truth]!++;
    if (guess === truth) {
      right++;
      truePositives[truth]!++;
    }
    loss -= slice[truth]!;
    const confidence = Math.exp(slice[guess]!);
    const bin = bins[Math.min(14, Math.floor(confidence * 15))]!;
    bin.n++;
    bin.confidence += confidence;
    if (guess === truth) bin.right++;
  }
  let f1 = 0;
  let occurring = 0;
  for (let k = 0; k < classCount; k++) {
    if (actual[k] === 0) continue;
    occurring++;
    f1 += (2 * truePositives[k]!) / (predicted[k]! + actual[k]!);
  }
  const calibrationError = bins.reduce((sum, bin) => sum + Math.abs(bin.right - bin.confidence), 0) / rows;
  return { n: rows, accuracy: right / rows, macroF1: f1 / occurring, logLoss: loss / rows, calibrationError };
}
