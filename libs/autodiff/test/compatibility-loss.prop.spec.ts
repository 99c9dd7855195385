import { GraphBuilder } from '@thalamus/onnx-graph';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TEACHER_RULES, writeCompatibility, type TeacherRule } from '../src/index.js';
import { checkGradients, evaluate, type Instance } from './central-differences.js';

const SEED = 20_261_129;

type Matrix = readonly (readonly number[])[];

interface Problem {
  readonly labels: readonly number[];
  readonly sequences: readonly number[];
  readonly mask: readonly boolean[] | undefined;
  readonly old: Matrix;
  readonly new: Matrix;
  readonly temperature: number;
  readonly share: number;
  readonly seed: number;
}

const CLASSES = 3;
const sum = (values: readonly number[]) => values.reduce((all, value) => all + value, 0);
const mean = (values: readonly number[]) => (values.length === 0 ? 0 : sum(values) / values.length);
const softmax = (row: readonly number[], temperature = 1) => {
  const powers = row.map((value) => Math.exp(value / temperature));
  return powers.map((power) => power / sum(powers));
};
const best = (row: readonly number[]) => row.indexOf(Math.max(...row));

/** Teachers are far from each other, and never evenly split: what a rule says does not turn within a step of the differences. */
const problems: fc.Arbitrary<Problem> = fc.integer({ min: 1, max: 4 }).chain((rows) => {
  const list = <T>(of: fc.Arbitrary<T>) => fc.array(of, { minLength: rows, maxLength: rows });
  const teacher = list(fc.constantFrom([2.7, 0.4, -1], [0.1, 3.1, 1.2], [-2, 0.3, 2.2]));
  return fc.record({
    labels: list(fc.nat({ max: CLASSES - 1 })),
    sequences: list(fc.nat({ max: 1 })),
    mask: fc.option(list(fc.boolean()), { nil: undefined }),
    old: teacher,
    new: teacher,
    temperature: fc.constantFrom(1, 2, 3.5),
    share: fc.constantFrom(1, 0.8, 0.3),
    seed: fc.nat({ max: 1000 }),
  });
});

function instanceOf(rule: TeacherRule, problem: Problem): Instance {
  const { labels, temperature, share, mask } = problem;
  const shape = [labels.length, CLASSES];
  return {
    shapes: [shape],
    domain: 'distinct',
    write: (w, [x = '']) => {
      const soft = (of: Matrix) =>
        w.numbers(
          shape,
          of.flatMap((row) => softmax(row, temperature)),
        );
      return writeCompatibility(
        w.builder,
        x,
        w.whole([labels.length], labels),
        { old: soft(problem.old), new: soft(problem.new) },
        {
          rule,
          temperature,
          share,
          elementType: w.elementType,
          ...(mask ? { mask: w.truths([labels.length], mask) } : {}),
          ...(rule === 'sequence-less-likely'
            ? { sequences: w.whole([labels.length], problem.sequences) }
            : {}),
        },
      );
    },
  };
}

/** The formula, row by row. */
function formula(rule: TeacherRule, problem: Problem, z: Matrix): number {
  const { labels, temperature, share, mask, sequences } = problem;
  const rows = labels.map((label, row) => {
    const student = softmax(z[row]!, temperature);
    const [older, newer] = [softmax(problem.old[row]!, temperature), softmax(problem.new[row]!, temperature)];
    return { label, row, z: z[row]!, student, older, newer };
  });
  const likelihood = (own: number, of: (row: (typeof rows)[number]) => readonly number[]) =>
    sum(rows.filter(({ row }) => sequences[row] === own).map((row) => Math.log(of(row)[row.label]!)));
  const teacherOf = ({ label, row, z: scores, student, older, newer }: (typeof rows)[number]) => {
    const own = sequences[row]!;
    const isOld = {
      'student-wrong': best(scores) !== label,
      old: true,
      new: false,
      'old-right': best(older) === label,
      'less-likely': student[label]! < older[label]!,
      'sequence-less-likely': likelihood(own, (each) => each.student) < likelihood(own, (each) => each.older),
      mean: false,
      'old-right-alone': true,
    }[rule];
    if (rule === 'mean') return older.map((value, c) => (value + newer[c]!) / 2);
    return isOld ? older : newer;
  };
  const counted = rows.filter(({ row }) => mask?.[row] ?? true);
  const taught = counted.filter(({ label, older }) => rule !== 'old-right-alone' || best(older) === label);
  const divergences = taught.map((row) =>
    sum(teacherOf(row).map((p, c) => p * (Math.log(p) - Math.log(row.student[c]!)))),
  );
  const entropies = counted.map(({ z: scores, label }) => -Math.log(softmax(scores)[label]!));
  return share * mean(divergences) + (1 - share) * mean(entropies);
}

describe('distillation of two versions', () => {
  it.each(TEACHER_RULES)('%s: gradients equal central differences', { timeout: 120_000 }, async (rule) => {
    await fc.assert(
      fc.asyncProperty(problems, (problem) => checkGradients(instanceOf(rule, problem), problem.seed)),
      { seed: SEED, numRuns: 12 },
    );
  });

  it.each(TEACHER_RULES)('%s: equals its formula', { timeout: 60_000 }, async (rule) => {
    const numbers = fc.array(fc.double({ min: -3, max: 3, noNaN: true }), { minLength: 12, maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(problems, numbers, async (problem, values) => {
        const given = values.slice(0, problem.labels.length * CLASSES);
        const { result } = await evaluate(instanceOf(rule, problem), [given]);
        const z = problem.labels.map((_, row) => given.slice(row * CLASSES, (row + 1) * CLASSES));
        const wanted = formula(rule, problem, z);
        expect(result).toHaveLength(1);
        expect(Math.abs(result[0]! - wanted)).toBeLessThan(1e-12 * Math.max(1, Math.abs(wanted)));
      }),
      { seed: SEED, numRuns: 25 },
    );
  });

  /** One row whose student answers class 0, an old version that answers 1 and a new one that answers 2. */
  const answered = (label: number, rule: TeacherRule): Promise<number> => {
    const problem: Problem = {
      labels: [label],
      sequences: [0],
      mask: undefined,
      old: [[0, 4, 0]],
      new: [[0, 0, 5]],
      temperature: 2,
      share: 1,
      seed: 0,
    };
    return evaluate(instanceOf(rule, problem), [[3, 1, 2]]).then(({ result }) => result[0]!);
  };

  it('the student-wrong mask: the old version where the student errs, the new one where it is right', async () => {
    const [old, newer] = [await answered(0, 'old'), await answered(0, 'new')];
    expect(old).not.toBe(newer);
    expect(await answered(0, 'student-wrong')).toBe(newer);
    expect(await answered(1, 'student-wrong')).toBe(old);
    expect(await answered(2, 'student-wrong')).toBe(old);
    expect(await answered(1, 'old-right')).toBe(old);
    expect(await answered(2, 'old-right')).toBe(newer);
  });

  it('a version that the student equals has nothing to teach: 0 with zero gradients', async () => {
    const z = [1.5, -0.25, 0.75];
    const problem: Problem = {
      labels: [1],
      sequences: [0],
      mask: undefined,
      old: [z],
      new: [z],
      temperature: 2,
      share: 1,
      seed: 0,
    };
    const { result, gradients } = await evaluate(instanceOf('student-wrong', problem), [z]);
    expect(Math.abs(result[0]!)).toBeLessThan(1e-15);
    expect(Math.max(...gradients[0]!.map(Math.abs))).toBeLessThan(1e-15);
  });

  it('of sequences of one row the two masks by likelihood are the same', async () => {
    await fc.assert(
      fc.asyncProperty(problems, async (problem) => {
        const apart = { ...problem, sequences: problem.labels.map((_, row) => row) };
        const given = [problem.labels.flatMap((_, row) => [row / 2 + 0.1, 1.3 - row, 0.4])];
        const [whole, single] = await Promise.all([
          evaluate(instanceOf('sequence-less-likely', apart), given),
          evaluate(instanceOf('less-likely', apart), given),
        ]);
        expect(whole.result).toEqual(single.result);
      }),
      { seed: SEED, numRuns: 10 },
    );
  });

  it('settings that make no sense are refused by name', () => {
    const b = new GraphBuilder();
    const x = b.input('x', 'float32', [1, 3]);
    const y = b.input('y', 'int64', [1]);
    const write = (options: object) =>
      writeCompatibility(b, x, y, { old: x, new: x }, { rule: 'student-wrong', ...options });
    expect(() => write({ temperature: 0 })).toThrow(/temperature is 0/);
    for (const share of [0, 1.1, NaN]) expect(() => write({ share })).toThrow(/share is/);
    expect(() => write({ sequences: y })).toThrow(/does not read sequences/);
    expect(() => write({ rule: 'sequence-less-likely' })).toThrow(/needs sequences/);
  });
});
