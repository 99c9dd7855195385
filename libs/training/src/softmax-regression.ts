import { logSumExp } from '@thalamus/tensor';
import { minimise } from './minimise.js';

/** Rows of features with the index of their class. */
export interface LabelledFeatures {
  /** float32 [rows, width], row-major. */
  readonly features: Float32Array;
  readonly width: number;
  /** Class of each row. */
  readonly classes: Int32Array;
  readonly classCount: number;
}

/** A linear classifier: logits = features · weights + bias. */
export interface LinearHead {
  /** float32 [classes, width] */
  readonly weights: Float32Array;
  /** float32 [classes] */
  readonly bias: Float32Array;
}

/** How the head is fitted. */
export interface SoftmaxRegressionOptions {
  /** Weight of half the squared norm of the weights (not of the bias), relative to the mean loss. */
  readonly l2: number;
  readonly maxIterations?: number;
  readonly onIteration?: (iteration: number, loss: number) => void;
}

/** Multinomial logistic regression by L-BFGS on the mean cross-entropy in nats plus l2/2 · |W|². Deterministic. */
export function fitSoftmaxRegression(data: LabelledFeatures, options: SoftmaxRegressionOptions): LinearHead {
  const { width, classCount } = data;
  const point = new Float64Array(classCount * (width + 1));
  minimise((at, gradient) => softmaxObjective(data, options.l2, at, gradient), point, {
    maxIterations: options.maxIterations ?? 150,
    tolerance: 1e-6,
    ...(options.onIteration ? { onIteration: options.onIteration } : {}),
  });
  return {
    weights: Float32Array.from(point.subarray(0, classCount * width)),
    bias: Float32Array.from(point.subarray(classCount * width)),
  };
}

/**
 * Mean cross-entropy in nats plus l2/2 · |W|², and its gradient, at weights [classes, width] followed by the bias [classes].
 */
export function softmaxObjective(
  data: LabelledFeatures,
  l2: number,
  point: Float64Array,
  gradient: Float64Array,
): number {
  const { features, width, classes, classCount } = data;
  const rows = classes.length;
  const bias = classCount * width;
  gradient.fill(0);
  const logits = new Float64Array(classCount);
  let loss = 0;
  for (let row = 0; row < rows; row++) {
    const x = row * width;
    for (let k = 0; k < classCount; k++) {
      let sum = point[bias + k]!;
      const w = k * width;
      for (let j = 0; j < width; j++) sum += point[w + j]! * features[x + j]!;
      logits[k] = sum;
    }
    const norm = logSumExp(logits);
    const truth = classes[row]!;
    loss += norm - logits[truth]!;
    for (let k = 0; k < classCount; k++) {
      const p = Math.exp(logits[k]! - norm);
      if (p < 1e-9 && k !== truth) continue;
      const delta = (p - (k === truth ? 1 : 0)) / rows;
      gradient[bias + k] = gradient[bias + k]! + delta;
      const w = k * width;
      for (let j = 0; j < width; j++) gradient[w + j] = gradient[w + j]! + delta * features[x + j]!;
    }
  }
  let squares = 0;
  for (let i = 0; i < bias; i++) {
    squares += point[i]! ** 2;
    gradient[i] = gradient[i]! + l2 * point[i]!;
  }
  return loss / rows + (l2 / 2) * squares;
}

/** Log-probabilities [rows, classes] of a head. */
export function headLogProbabilities(head: LinearHead, features: Float32Array, width: number): Float64Array {
  const classCount = head.bias.length;
  const rows = features.length / width;
  const result = new Float64Array(rows * classCount);
  for (let row = 0; row < rows; row++) {
    const slice = result.subarray(row * classCount, (row + 1) * classCount);
    for (let k = 0; k < classCount; k++) {
      let sum = head.bias[k]!;
      for (let j = 0; j < width; j++) sum += head.weights[k * width + j]! * features[row * width + j]!;
      slice[k] = sum;
    }
    const norm = logSumExp(slice);
    for (let k = 0; k < classCount; k++) slice[k] = slice[k]! - norm;
  }
  return result;
}
