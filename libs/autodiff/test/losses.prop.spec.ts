import { GraphBuilder } from '@thalamus/onnx-graph';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  writeCosineDistance,
  writeCrossEntropy,
  writeDivergence,
  writeHinge,
  writeHuber,
  writeMeanSquaredError,
  writePairwiseRanking,
} from '../src/index.js';
import { checkGradients, evaluate, type CaseWriter, type Instance } from './central-differences.js';

const SEED = 20_261_128;

type Matrix = readonly (readonly number[])[];

interface Problem {
  readonly rows: number;
  readonly columns: number;
  readonly labels: readonly number[];
  readonly mask: readonly boolean[] | undefined;
  /** Setting of the loss, above 0. */
  readonly setting: number;
  readonly seed: number;
}

interface Loss {
  readonly name: string;
  /** How many matrices it compares; the second is trained as well. */
  readonly matrices: 1 | 2;
  readonly write: (w: CaseWriter, x: readonly string[], problem: Problem, mask: object) => string;
  /** The formula, for the rows that count. */
  readonly formula: (problem: Problem, x: readonly Matrix[]) => number;
  readonly domain?: Instance['domain'];
}

const counted = ({ rows, mask }: Problem) => [...Array(rows).keys()].filter((row) => mask?.[row] ?? true);
const mean = (values: readonly number[]) =>
  values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;
const sum = (values: readonly number[]) => values.reduce((all, value) => all + value, 0);
const logSoftmax = (row: readonly number[]) => {
  const norm = Math.log(sum(row.map(Math.exp)));
  return row.map((value) => value - norm);
};
const labelsOf = (w: CaseWriter, { labels }: Problem) => w.whole([labels.length], labels);

/** Label 2 is ignored in the loss that can. */
const IGNORED = 2;

const LOSSES: readonly Loss[] = [
  {
    name: 'cross-entropy',
    matrices: 1,
    write: (w, [x = ''], problem, options) => writeCrossEntropy(w.builder, x, labelsOf(w, problem), options),
    formula: (problem, [z]) =>
      mean(counted(problem).map((row) => -logSoftmax(z![row]!)[problem.labels[row]!]!)),
  },
  {
    name: 'cross-entropy with an ignored label and smoothing',
    matrices: 1,
    write: (w, [x = ''], problem, options) => {
      // Out of all classes: what does not count need not be one.
      const labels = problem.labels.map((label) => (label === IGNORED ? -100 : label));
      const labelSmoothing = problem.setting / 4;
      return writeCrossEntropy(w.builder, x, w.whole([labels.length], labels), {
        ...options,
        ignoreIndex: -100,
        labelSmoothing,
      });
    },
    formula: (problem, [z]) => {
      const rows = counted(problem).filter((row) => problem.labels[row] !== IGNORED);
      const share = problem.setting / 4;
      return mean(
        rows.map((row) => {
          const scores = logSoftmax(z![row]!);
          return -(1 - share) * scores[problem.labels[row]!]! - share * mean(scores);
        }),
      );
    },
  },
  {
    name: 'divergence at a temperature',
    matrices: 2,
    write: (w, [x = '', y = ''], { setting }, options) => {
      const teacher = w.op('Softmax', [w.op('Mul', [y, w.numbers([], [1 / setting])])]);
      return writeDivergence(w.builder, x, teacher, { ...options, temperature: setting });
    },
    formula: (problem, [z, y]) => {
      const soft = (row: readonly number[]) => logSoftmax(row.map((value) => value / problem.setting));
      return mean(
        counted(problem).map((row) => {
          const [student, teacher] = [soft(z![row]!), soft(y![row]!)];
          return problem.setting ** 2 * sum(teacher.map((log, c) => Math.exp(log) * (log - student[c]!)));
        }),
      );
    },
  },
  {
    name: 'hinge',
    matrices: 1,
    domain: 'distinct',
    write: (w, [x = ''], problem, options) =>
      writeHinge(w.builder, x, labelsOf(w, problem), { ...options, margin: problem.setting }),
    formula: (problem, [s]) =>
      mean(
        counted(problem).map((row) => {
          const own = s![row]![problem.labels[row]!]!;
          const others = s![row]!.filter((_, c) => c !== problem.labels[row]);
          return Math.max(0, ...others.map((score) => problem.setting + score - own));
        }),
      ),
  },
  {
    name: 'mean squared error',
    matrices: 2,
    write: (w, [x = '', y = ''], _problem, options) => writeMeanSquaredError(w.builder, x, y, options),
    formula: (problem, [p, t]) =>
      mean(counted(problem).flatMap((row) => p![row]!.map((value, c) => (value - t![row]![c]!) ** 2))),
  },
  {
    name: 'Huber',
    matrices: 2,
    domain: 'distinct',
    write: (w, [x = '', y = ''], { setting }, options) =>
      writeHuber(w.builder, x, y, { ...options, delta: setting }),
    formula: (problem, [p, t]) => {
      const delta = problem.setting;
      const one = (error: number) => (error <= delta ? error ** 2 / 2 : delta * (error - delta / 2));
      return mean(
        counted(problem).flatMap((row) => p![row]!.map((value, c) => one(Math.abs(value - t![row]![c]!)))),
      );
    },
  },
  {
    name: 'pairwise ranking',
    matrices: 1,
    domain: 'distinct',
    write: (w, [x = ''], problem, options) =>
      writePairwiseRanking(w.builder, x, w.numbers([problem.rows, problem.columns], truth(problem).flat()), {
        ...options,
        margin: problem.setting,
        leastGap: 0.5,
      }),
    formula: (problem, [p]) => {
      const t = truth(problem);
      const terms = counted(problem).flatMap((row) =>
        t[row]!.flatMap((better, i) =>
          t[row]!.flatMap((worse, j) =>
            better - worse > 0.5 ? [Math.max(0, problem.setting - (p![row]![i]! - p![row]![j]!))] : [],
          ),
        ),
      );
      return mean(terms);
    },
  },
  {
    name: 'cosine distance',
    matrices: 2,
    domain: 'positive',
    write: (w, [x = '', y = ''], _problem, options) => writeCosineDistance(w.builder, x, y, options),
    formula: (problem, [a, b]) =>
      mean(
        counted(problem).map((row) => {
          const dot = sum(a![row]!.map((value, c) => value * b![row]![c]!));
          return 1 - dot / (Math.hypot(...a![row]!) * Math.hypot(...b![row]!));
        }),
      ),
  },
];

/** True values in quarters, some of them equal: gaps are none, or a quarter off the least one at nearest. */
function truth({ rows, columns, labels }: Problem): number[][] {
  return Array.from({ length: rows }, (_, row) =>
    Array.from({ length: columns }, (_column, c) => ((c * 3 + labels[row]! * 5) % 4) * 0.75),
  );
}

const problems: fc.Arbitrary<Problem> = fc
  .tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 3, max: 4 }))
  .chain(([rows, columns]) =>
    fc.record({
      rows: fc.constant(rows),
      columns: fc.constant(columns),
      labels: fc.array(fc.nat({ max: 2 }), { minLength: rows, maxLength: rows }),
      mask: fc.option(fc.array(fc.boolean(), { minLength: rows, maxLength: rows }), { nil: undefined }),
      // Not a multiple of an eighth, in which distinct values lie: no error stands at a corner.
      setting: fc.constantFrom(0.7, 1.3, 2.1),
      seed: fc.nat({ max: 1000 }),
    }),
  );

function instanceOf(loss: Loss, problem: Problem): Instance {
  const shape = [problem.rows, problem.columns];
  return {
    shapes: Array.from({ length: loss.matrices }, () => shape),
    ...(loss.domain ? { domain: loss.domain } : {}),
    write: (w, x) => {
      const mask = problem.mask ? { mask: w.truths([problem.rows], problem.mask) } : {};
      return loss.write(w, x, problem, { elementType: w.elementType, ...mask });
    },
  };
}

const matrixOf = (values: readonly number[], { rows, columns }: Problem): Matrix =>
  Array.from({ length: rows }, (_, row) => values.slice(row * columns, (row + 1) * columns));

describe('losses', () => {
  it.each(LOSSES)('$name: gradients equal central differences', { timeout: 120_000 }, async (loss) => {
    await fc.assert(
      fc.asyncProperty(problems, (problem) => checkGradients(instanceOf(loss, problem), problem.seed)),
      { seed: SEED, numRuns: 15 },
    );
  });

  it.each(LOSSES)('$name: equals its formula', async (loss) => {
    const numbers = fc.array(fc.double({ min: -3, max: 3, noNaN: true }), { minLength: 32, maxLength: 32 });
    await fc.assert(
      fc.asyncProperty(problems, numbers, async (problem, values) => {
        const size = problem.rows * problem.columns;
        const given = Array.from({ length: loss.matrices }, (_, at) =>
          // Off zero, so that every row has a direction.
          values.slice(at * size, (at + 1) * size).map((value) => value + 3.5 * (at + 1)),
        );
        const { result } = await evaluate(instanceOf(loss, problem), given);
        const wanted = loss.formula(
          problem,
          given.map((matrix) => matrixOf(matrix, problem)),
        );
        expect(result).toHaveLength(1);
        expect(Math.abs(result[0]! - wanted)).toBeLessThan(1e-12 * Math.max(1, Math.abs(wanted)));
      }),
      { seed: SEED, numRuns: 15 },
    );
  });

  it.each(LOSSES)('$name: 0 with zero gradients when no row counts', async (loss) => {
    const problem = { rows: 2, columns: 3, labels: [0, 1], mask: [false, false], setting: 1.3, seed: 1 };
    const { result, gradients } = await evaluate(
      instanceOf(loss, problem),
      [
        [1, 2, 3, 4, 5, 7],
        [2, 1, 3, 1, 5, 4],
      ].slice(0, loss.matrices),
    );
    expect(result).toEqual([0]);
    expect(gradients.flat().every((gradient) => gradient === 0)).toBe(true);
  });

  it('the ignored label alone: 0 with zero gradients', async () => {
    const all: Instance = {
      shapes: [[2, 3]],
      write: (w, [x = '']) =>
        writeCrossEntropy(w.builder, x, w.ints(-100, -100), {
          elementType: w.elementType,
          ignoreIndex: -100,
        }),
    };
    const { result, gradients } = await evaluate(all, [[1, 2, 3, 4, 5, 6]]);
    expect(result).toEqual([0]);
    expect(gradients[0]!.every((gradient) => gradient === 0)).toBe(true);
  });

  it('values worked out by hand', async () => {
    const loss = (write: (w: CaseWriter, x: readonly string[]) => string, ...rows: number[][]) =>
      evaluate({ shapes: rows.map((row) => [1, row.length]), write }, rows).then(({ result }) => result[0]!);
    const type = { elementType: 'float64' } as const;
    // Even scores of three classes: log 3, smoothed or not.
    const even = [0, 0, 0];
    for (const labelSmoothing of [0, 0.3])
      expect(
        await loss(
          (w, [x = '']) => writeCrossEntropy(w.builder, x, w.ints(1), { ...type, labelSmoothing }),
          even,
        ),
      ).toBeCloseTo(Math.log(3), 12);
    // A teacher that is sure of one of two even classes: log 2, times T^2.
    expect(
      await loss(
        (w, [x = '']) =>
          writeDivergence(w.builder, x, w.numbers([1, 2], [1, 0]), { ...type, temperature: 3 }),
        [0, 0],
      ),
    ).toBeCloseTo(9 * Math.log(2), 12);
    // 1 + 3 - 1 and, with the label ahead by more than the margin, 0.
    expect(await loss((w, [x = '']) => writeHinge(w.builder, x, w.ints(0), type), [1, 3, 2])).toBe(3);
    expect(await loss((w, [x = '']) => writeHinge(w.builder, x, w.ints(1), type), [1, 3, 2])).toBe(0);
    expect(
      await loss((w, [x = '', y = '']) => writeMeanSquaredError(w.builder, x, y, type), [1, 4], [3, 4]),
    ).toBe(2);
    // Errors 0.5 and 3 at delta 1: 0.125 and 2.5.
    expect(await loss((w, [x = '', y = '']) => writeHuber(w.builder, x, y, type), [0.5, 3], [0, 0])).toBe(
      1.3125,
    );
    // One ordered pair: 1 - (0.25 - 0).
    expect(
      await loss(
        (w, [x = '']) => writePairwiseRanking(w.builder, x, w.numbers([1, 2], [1, 0]), type),
        [0.25, 0],
      ),
    ).toBe(0.75);
    const cosine = (w: CaseWriter, [x = '', y = '']: readonly string[]) =>
      writeCosineDistance(w.builder, x, y, type);
    expect(await loss(cosine, [1, 0], [0, 2])).toBe(1);
    expect(await loss(cosine, [1, 0], [-3, 0])).toBe(2);
    const still = await evaluate(
      {
        shapes: [
          [1, 2],
          [1, 2],
        ],
        write: cosine,
      },
      [
        [0, 0],
        [1, 1],
      ],
    );
    expect([still.result, ...still.gradients]).toEqual(
      [[1], [-0, -0], [-0, -0]].map((row) => row.map((v) => v + 0)),
    );
  });

  it('settings that make no sense are refused by name', () => {
    const b = new GraphBuilder();
    const x = b.input('x', 'float32', [1, 2]);
    const y = b.input('y', 'int64', [1]);
    for (const labelSmoothing of [-0.1, 1, NaN])
      expect(() => writeCrossEntropy(b, x, y, { labelSmoothing })).toThrow(/labelSmoothing is/);
    expect(() => writeDivergence(b, x, x, { temperature: 0 })).toThrow(/temperature is 0/);
    expect(() => writeHinge(b, x, y, { margin: -1 })).toThrow(/margin is -1/);
    expect(() => writeHuber(b, x, x, { delta: Infinity })).toThrow(/delta is Infinity/);
    expect(() => writePairwiseRanking(b, x, x, { leastGap: -1 })).toThrow(/leastGap is -1/);
  });
});
