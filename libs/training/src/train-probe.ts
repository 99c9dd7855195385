import { ThalamusError } from '@thalamus/errors';
import { decodeFloat16, encodeFloat16 } from '@thalamus/tensor';
import { classificationMetrics, type ClassificationMetrics } from './classification-metrics.js';
import {
  fitSoftmaxRegression,
  headLogProbabilities,
  type LabelledFeatures,
  type LinearHead,
} from './softmax-regression.js';

/** Embedded rows with their labels. */
export interface EmbeddedRows {
  /** float32 [rows, width] */
  readonly features: Float32Array;
  readonly labels: readonly string[];
}

/** A fitted probe. */
export interface TrainedProbe {
  /** Rounded to binary16, as it will be stored and served. */
  readonly head: LinearHead;
  /** Labels in the order of the head's rows. */
  readonly labels: readonly string[];
  /** Regularisation that validation chose. */
  readonly l2: number;
  readonly validation: ClassificationMetrics;
}

/** Regularisation strengths that are tried. */
export const L2_GRID = [3e-4, 1e-4, 3e-5, 1e-5, 3e-6] as const;

/** Most iterations of one fit. */
const MAX_ITERATIONS = 150;

/** How far the fitting is. */
export interface ProbeProgress {
  /** Iterations done, of `total` at most: fits often end earlier. */
  readonly done: number;
  readonly total: number;
  /** What the strength just tried gave; absent between fits. */
  readonly tried?: { readonly l2: number; readonly metrics: ClassificationMetrics };
}

/**
 * Fits a linear head on frozen embeddings; the strength of the regularisation with the least log loss on the validation
 * rows wins. Stops trying weaker ones once the loss rises.
 * @throws DATASET_INVALID for one class only, or validation labels that training never saw.
 */
export function trainProbe(
  train: EmbeddedRows,
  validation: EmbeddedRows,
  width: number,
  onProgress?: (progress: ProbeProgress) => void,
): TrainedProbe {
  const labels = [...new Set(train.labels)].sort();
  if (labels.length < 2)
    throw new ThalamusError(
      'DATASET_INVALID',
      `All training rows have the label "${labels[0] ?? ''}"; at least two labels are needed.`,
    );
  const data = labelled(train, labels, width);
  const checked = labelled(validation, labels, width);
  let best: { head: LinearHead; l2: number; metrics: ClassificationMetrics } | undefined;
  const total = L2_GRID.length * MAX_ITERATIONS;
  for (const [index, l2] of L2_GRID.entries()) {
    const before = index * MAX_ITERATIONS;
    const onIteration = (iteration: number) => onProgress?.({ done: before + iteration, total });
    const head = roundHead(fitSoftmaxRegression(data, { l2, maxIterations: MAX_ITERATIONS, onIteration }));
    const metrics = evaluateHead(head, checked);
    onProgress?.({ done: before + MAX_ITERATIONS, total, tried: { l2, metrics } });
    if (best && metrics.logLoss > best.metrics.logLoss) break;
    best = { head, l2, metrics };
  }
  if (!best) throw new ThalamusError('INTERNAL', 'No regularisation was tried.');
  return { head: best.head, labels, l2: best.l2, validation: best.metrics };
}

/** Figures of a head on labelled features. */
export function evaluateHead(head: LinearHead, data: LabelledFeatures): ClassificationMetrics {
  return classificationMetrics(
    headLogProbabilities(head, data.features, data.width),
    data.classes,
    data.classCount,
  );
}

/** Turns labels into class numbers. @throws DATASET_INVALID that names the first label that is not of the list. */
export function labelled(rows: EmbeddedRows, labels: readonly string[], width: number): LabelledFeatures {
  const index = new Map(labels.map((label, position) => [label, position]));
  const classes = Int32Array.from(rows.labels, (label) => {
    const position = index.get(label);
    if (position === undefined)
      throw new ThalamusError(
        'DATASET_INVALID',
        `The label "${label.slice(0, 60)}" was not seen in training; known are ${labels.length} others. Add rows of it to the training data, or remove its rows here.`,
      );
    return position;
  });
  return { features: rows.features, width, classes, classCount: labels.length };
}

function roundHead(head: LinearHead): LinearHead {
  const round = (values: Float32Array) => decodeFloat16(encodeFloat16(values));
  return { weights: round(head.weights), bias: round(head.bias) };
}
