import { writeCompatibility } from '@thalamus/autodiff';
import { argMax, logSumExp, tensor, type Tensor } from '@thalamus/tensor';
import { TRAINING_VALUES } from '../graphs/encoder-graph.js';
import { crossEntropy, type WriteLoss } from '../graphs/gradient-session.js';
import { REPAIR_TEMPERATURE, type RepairArm } from './repair-arms.js';

/** Log-probabilities [rows, classes] of both versions, in the order of the new one's labels. */
export interface VersionAnswers {
  readonly old: Float64Array;
  readonly new: Float64Array;
}

/** Names of the inputs with the softened probabilities of both versions, float32 [items, classes]. */
const TEACHERS = { old: 'teacher_old', new: 'teacher_new' } as const;

/** The loss of an arm as a graph: with a rule it takes the teachers beside the labels. */
export function repairLoss({ rule, share }: RepairArm): WriteLoss {
  if (rule === undefined) return crossEntropy;
  return (builder, logits) => {
    const labels = builder.input(TRAINING_VALUES.labels, 'int64', ['items']);
    const teacher = (name: string) => builder.input(name, 'float32', ['items', 'classes']);
    const teachers = { old: teacher(TEACHERS.old), new: teacher(TEACHERS.new) };
    return writeCompatibility(builder, logits, labels, teachers, {
      rule,
      share,
      temperature: REPAIR_TEMPERATURE,
    });
  };
}

/** Feeds of the teachers for chosen rows; none where the arm has no rule. */
export function teacherFeeds(
  { rule }: RepairArm,
  answers: VersionAnswers,
  rows: readonly number[],
  classes: number,
): Record<string, Tensor> {
  if (rule === undefined) return {};
  const soft = (of: Float64Array) => {
    const data = new Float32Array(rows.length * classes);
    rows.forEach((row, at) => {
      data.set(softened(of.subarray(row * classes, (row + 1) * classes)), at * classes);
    });
    return tensor('float32', [rows.length, classes], data);
  };
  return { [TEACHERS.old]: soft(answers.old), [TEACHERS.new]: soft(answers.new) };
}

/** The loss of an arm in nats over all rows, as the graph has it, from the student's log-probabilities [rows, classes]. */
export function repairLossOf(
  { rule, share }: RepairArm,
  student: Float64Array,
  answers: VersionAnswers,
  classes: Int32Array,
): number {
  const width = student.length / classes.length;
  let [distilled, taught, entropy] = [0, 0, 0];
  for (const [row, label] of classes.entries()) {
    const of = (values: Float64Array) => values.subarray(row * width, (row + 1) * width);
    entropy -= of(student)[label]!;
    if (rule === undefined) continue;
    const [own, older, newer] = [of(student), of(answers.old), of(answers.new)];
    if (rule === 'old-right-alone' && argMax(older) !== label) continue;
    taught += 1;
    const [soft, softOld, softNew] = [softened(own), softened(older), softened(newer)];
    const isOld =
      rule === 'old' ||
      rule === 'old-right-alone' ||
      (rule === 'student-wrong' && argMax(own) !== label) ||
      (rule === 'old-right' && argMax(older) === label) ||
      // A row is a sequence.
      ((rule === 'less-likely' || rule === 'sequence-less-likely') && soft[label]! < softOld[label]!);
    const teacher =
      rule === 'mean' ? softOld.map((value, k) => (value + softNew[k]!) / 2) : isOld ? softOld : softNew;
    teacher.forEach((p, k) => {
      if (p > 0) distilled += p * Math.log(p / soft[k]!);
    });
  }
  return share * (distilled / Math.max(1, taught)) + (1 - share) * (entropy / Math.max(1, classes.length));
}

/** softmax(logits / T) out of log-probabilities, which are logits up to a constant. */
function softened(logProbabilities: Float64Array): Float64Array {
  const scaled = logProbabilities.map((value) => value / REPAIR_TEMPERATURE);
  const norm = logSumExp(scaled);
  return scaled.map((value) => Math.exp(value - norm));
}
