import type { ExpertManifest } from '@thalamus/bundle';
import { argMax, softmax, tensor, type Tensor } from '@thalamus/tensor';
import type { ExpertValue } from './served-expert.js';

/** What a classifier's manifest says of its labels. */
export interface LabelSet {
  readonly labels: readonly string[];
  /** Whether a text may have several labels: each has a probability of its own. */
  readonly isMultiLabel: boolean;
}

export function labelSetOf({ labels, problemType }: ExpertManifest): LabelSet {
  return { labels: labels ?? [], isMultiLabel: problemType === 'multi_label_classification' };
}

/** Outputs of every text classifier. */
export function classifierOutputs(labels: number): ExpertValue[] {
  return [
    { name: 'label', datatype: 'BYTES', shape: [-1] },
    { name: 'score', datatype: 'FP32', shape: [-1] },
    { name: 'scores', datatype: 'FP32', shape: [-1, labels] },
  ];
}

/**
 * `label` (the best), its `score`, and the `scores` of all labels from logits of equal length: a softmax, or a sigmoid for each
 * label where a text may have several.
 */
export function classifierTensors(
  logits: readonly Float32Array[],
  { labels, isMultiLabel }: LabelSet,
): Map<string, Tensor> {
  const probabilities = logits.map((row) => (isMultiLabel ? row.map(sigmoid) : softmax(row)));
  const best = probabilities.map((row) => argMax(row));
  const scores = new Float32Array(logits.length * labels.length);
  probabilities.forEach((row, index) => {
    scores.set(row, index * labels.length);
  });
  const names = best.map((index) => labels[index] ?? '');
  const highest = Float32Array.from(best, (index, row) => probabilities[row]?.[index] ?? 0);
  return new Map<string, Tensor>([
    ['label', tensor('string', [logits.length], names)],
    ['score', tensor('float32', [logits.length], highest)],
    ['scores', tensor('float32', [logits.length, labels.length], scores)],
  ]);
}

function sigmoid(logit: number): number {
  return 1 / (1 + Math.exp(-logit));
}
