import type { GraphBuilder, ValueName } from '@thalamus/onnx-graph';
import { requirePositive, requireShare } from '../settings.js';
import { LossWriter, type LossOptions } from './loss-writer.js';

/** How a cross-entropy is taken. */
export interface CrossEntropyOptions extends LossOptions {
  /** Rows with this label do not count. */
  readonly ignoreIndex?: number;
  /** Share of the target that is spread evenly over all classes (Szegedy et al. 2016, section 7), from 0 to below 1. Default 0. */
  readonly labelSmoothing?: number;
}

/**
 * Adds the mean cross-entropy in nats: logits z [rows, classes], labels y int64 [rows], each within the classes or
 * `ignoreIndex`. With smoothing e over C classes a row's loss is
 *
 *     -(1 - e) log softmax(z)_y - e / C sum_c log softmax(z)_c
 *
 * and the loss is the mean over the rows that count: 0 with zero gradients when none does. Returns its value, a scalar.
 * @throws CONFIG_INVALID for a smoothing outside [0, 1)
 */
export function writeCrossEntropy(
  builder: GraphBuilder,
  logits: ValueName,
  labels: ValueName,
  options: CrossEntropyOptions = {},
): ValueName {
  const { ignoreIndex, labelSmoothing: smoothing = 0 } = options;
  requireShare('labelSmoothing', smoothing);
  const w = new LossWriter(builder, options);
  const counts =
    ignoreIndex === undefined ? undefined : w.op('Not', [w.op('Equal', [labels, w.ints(ignoreIndex)])]);
  // A label that does not count need not be a class.
  const named = counts === undefined ? labels : w.op('Where', [counts, labels, w.ints(0)]);
  const logProbabilities = w.op('LogSoftmax', [logits], { axis: -1 });
  const chosen = w.pick(logProbabilities, named);
  const score =
    smoothing === 0
      ? chosen
      : w.op('Add', [
          w.op('Mul', [chosen, w.scalar(1 - smoothing)]),
          w.op('Mul', [
            w.op('ReduceMean', [logProbabilities, w.ints(-1)], { keepdims: 0 }),
            w.scalar(smoothing),
          ]),
        ]);
  return w.meanOverRows(w.op('Neg', [score]), counts);
}

/** How a divergence is taken. */
export interface DivergenceOptions extends LossOptions {
  /** Both sides are softened by it. Default 1. */
  readonly temperature?: number;
}

/**
 * Adds the divergence of a student from its teacher (Hinton et al. 2015, section 2): logits z [rows, classes] of the student and
 * probabilities p [rows, classes] of the teacher, taken at the same temperature T, softmax(teacher logits / T). The loss is
 *
 *     T^2 mean_rows sum_c p_c (log p_c - log softmax(z / T)_c)
 *
 * in nats, with 0 log 0 = 0; T^2 keeps the gradients as large as at T = 1. Returns its value, a scalar.
 * @throws CONFIG_INVALID for a temperature that is not above 0
 */
export function writeDivergence(
  builder: GraphBuilder,
  logits: ValueName,
  teacher: ValueName,
  options: DivergenceOptions = {},
): ValueName {
  const { temperature = 1 } = options;
  requirePositive('temperature', temperature);
  const w = new LossWriter(builder, options);
  const soft = temperature === 1 ? logits : w.op('Mul', [logits, w.scalar(1 / temperature)]);
  const student = w.op('LogSoftmax', [soft], { axis: -1 });
  const isPossible = w.op('Greater', [teacher, w.scalar(0)]);
  const logTeacher = w.op('Log', [w.op('Where', [isPossible, teacher, w.scalar(1)])]);
  const terms = w.op('Mul', [teacher, w.op('Sub', [logTeacher, student])]);
  return w.meanOverRows(w.op('Mul', [w.sumLast(terms), w.scalar(temperature ** 2)]));
}

/** How a hinge is taken. */
export interface HingeOptions extends LossOptions {
  /** By how much the right one must lead. Default 1. */
  readonly margin?: number;
}

/**
 * Adds the multi-class hinge (Crammer and Singer 2001, section 2): scores s [rows, classes], labels y int64 [rows]. The loss is
 *
 *     mean_rows max(0, max_{c != y} (margin + s_c) - s_y)
 *
 * Where several classes are equally far above, they share the gradient. Returns its value, a scalar.
 * @throws CONFIG_INVALID for a margin that is not above 0
 */
export function writeHinge(
  builder: GraphBuilder,
  scores: ValueName,
  labels: ValueName,
  options: HingeOptions = {},
): ValueName {
  const { margin = 1 } = options;
  requirePositive('margin', margin);
  const w = new LossWriter(builder, options);
  // The label's own score has no margin, so the largest is never below it: the outer maximum is in the inner one.
  const margins = w.op('Expand', [w.scalar(margin), w.op('Shape', [scores])]);
  const index = w.op('Unsqueeze', [labels, w.ints(1)]);
  const none = w.op('Expand', [w.scalar(0), w.op('Shape', [index])]);
  const raised = w.op('Add', [scores, w.op('ScatterElements', [margins, index, none], { axis: 1 })]);
  const largest = w.op('ReduceMax', [raised, w.ints(-1)], { keepdims: 0 });
  return w.meanOverRows(w.op('Sub', [largest, w.pick(scores, labels)]));
}
