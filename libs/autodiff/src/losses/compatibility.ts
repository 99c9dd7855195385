import type { GraphBuilder, ValueName } from '@thalamus/onnx-graph';
import { requirePositive, requireShareOfAll, requireSetting } from '../settings.js';
import { writeCrossEntropy, writeDivergence } from './classification.js';
import { LossWriter, type LossOptions } from './loss-writer.js';

/**
 * Which version of a model a row learns from; elsewhere it learns from the new one (MUSCLE, arXiv 2407.09435, section 4 and its
 * ablation of masks):
 *
 * - `student-wrong`: the old one where the student that is being trained answers wrong;
 * - `old`, `new`: one of them everywhere;
 * - `old-right`: the old one where that is right;
 * - `less-likely`: the old one where it gives the right label a larger probability than the student does;
 * - `sequence-less-likely`: the same by the product over the rows of one sequence;
 *
 * and two that are not of the paper: `mean`, the mean of both probabilities, and `old-right-alone`, the old one where that is right,
 * and no teacher elsewhere.
 */
export const TEACHER_RULES = [
  'student-wrong',
  'old',
  'new',
  'old-right',
  'less-likely',
  'sequence-less-likely',
  'mean',
  'old-right-alone',
] as const;

/** Which version of a model a row learns from. */
export type TeacherRule = (typeof TEACHER_RULES)[number];

/** Probabilities [rows, classes] of two frozen versions, softmax(logits / T) at the temperature of the loss. */
export interface VersionTeachers {
  readonly old: ValueName;
  readonly new: ValueName;
}

/** How two versions are distilled. */
export interface CompatibilityOptions extends LossOptions {
  readonly rule: TeacherRule;
  /** Student and teachers are softened by it. Default 2. */
  readonly temperature?: number;
  /** Share of the distillation; the rest is the cross-entropy of the labels. Above 0, at most 1. Default 1. */
  readonly share?: number;
  /** int64 [rows]: sequence of each row, for `sequence-less-likely` alone. */
  readonly sequences?: ValueName;
}

/**
 * Adds the distillation of two versions of a model into one: logits z [rows, classes] of the student, labels y int64 [rows]. With
 * q_i the teacher of row i by the rule, s = softmax(z / T) and the share a, the loss is
 *
 *     a mean_i KL(q_i || s_i) + (1 - a) mean_i -log softmax(z_i)_y
 *
 * in nats, without a factor T^2, as in the paper. The rule looks at the student of this step and is not differentiated; likelihoods
 * are compared softened. With `old-right-alone` the first mean is over the rows that have a teacher. Returns its value, a scalar.
 * @throws CONFIG_INVALID for a temperature or a share that makes no sense, and for sequences that lack or that no rule reads
 */
export function writeCompatibility(
  builder: GraphBuilder,
  logits: ValueName,
  labels: ValueName,
  teachers: VersionTeachers,
  options: CompatibilityOptions,
): ValueName {
  const { rule, temperature = 2, share = 1 } = options;
  requirePositive('temperature', temperature);
  requireShareOfAll('share', share);
  const isBySequence = rule === 'sequence-less-likely';
  requireSetting(
    isBySequence === (options.sequences !== undefined),
    `The rule ${rule} ${isBySequence ? 'needs' : 'does not read'} sequences.`,
  );
  const w = new LossWriter(builder, options);
  const student = () => w.op('Softmax', [w.op('Mul', [logits, w.scalar(1 / temperature)])], { axis: -1 });
  const isRight = (scores: ValueName) =>
    w.op('Equal', [w.op('ArgMax', [scores], { axis: -1, keepdims: 0 }), labels]);
  const logLikelihood = (probabilities: ValueName) =>
    w.op('Log', [w.op('Max', [w.pick(probabilities, labels), w.scalar(LEAST_PROBABILITY)])]);
  const choose = (isOld: ValueName) =>
    w.op('Where', [w.op('Unsqueeze', [isOld, w.ints(1)]), teachers.old, teachers.new]);
  const isLessLikely = (of: (rows: ValueName) => ValueName) =>
    w.op('Less', [of(logLikelihood(student())), of(logLikelihood(teachers.old))]);
  const teacherOf: Readonly<Record<TeacherRule, () => ValueName>> = {
    'student-wrong': () => choose(w.op('Not', [isRight(logits)])),
    old: () => teachers.old,
    new: () => teachers.new,
    'old-right': () => choose(isRight(teachers.old)),
    'less-likely': () => choose(isLessLikely((rows) => rows)),
    'sequence-less-likely': () =>
      choose(isLessLikely((rows) => sumBySequence(w, rows, options.sequences ?? ''))),
    mean: () => w.op('Mul', [w.op('Add', [teachers.old, teachers.new]), w.scalar(0.5)]),
    'old-right-alone': () => teachers.old,
  };
  const taught =
    rule === 'old-right-alone' ? alsoWhere(w, isRight(teachers.old), options.mask) : options.mask;
  const divergence = writeDivergence(builder, logits, teacherOf[rule](), {
    ...options,
    ...(taught === undefined ? {} : { mask: taught }),
  });
  const distilled = w.op('Mul', [divergence, w.scalar(share / temperature ** 2)]);
  if (share === 1) return w.finish('Identity', [distilled]);
  const labelled = w.op('Mul', [writeCrossEntropy(builder, logits, labels, options), w.scalar(1 - share)]);
  return w.finish('Add', [distilled, labelled]);
}

/** A smaller probability counts as this one, so that its logarithm is a number. */
const LEAST_PROBABILITY = 1e-30;

const alsoWhere = (w: LossWriter, condition: ValueName, mask: ValueName | undefined): ValueName =>
  mask === undefined ? condition : w.op('And', [condition, mask]);

/** Each row's sum over the rows of its sequence, [rows]. Cost: rows^2. */
function sumBySequence(w: LossWriter, rows: ValueName, sequences: ValueName): ValueName {
  const [across, down] = [1, 0].map((axis) => w.op('Unsqueeze', [sequences, w.ints(axis)]));
  const isSame = w.cast(w.op('Equal', [across ?? '', down ?? '']));
  const sums = w.op('MatMul', [isSame, w.op('Unsqueeze', [rows, w.ints(1)])]);
  return w.op('Squeeze', [sums, w.ints(1)]);
}
