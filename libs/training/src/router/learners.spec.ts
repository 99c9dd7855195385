import { predictLosses, type LossHeads } from '@thalamus/routing';
import { createRandom } from '@thalamus/tensor';
import { describe, expect, it } from 'vitest';
import type { LossRows } from '../fit-linear-losses.js';
import { chooseLearner, fitChosen, recalibration, type ChoiceRows } from './choose-learner.js';
import { gramMatrix } from './gram-matrix.js';
import { averageOf, LEARNERS, NEAREST, rescaled, RIDGE, type LearnerFamily } from './learners.js';
import { principalDirections, principalProjection } from './principal-directions.js';

const random = createRandom(11);
const normal = (count: number) => Float32Array.from({ length: count }, () => random.normal());

/** Unit vectors whose first coordinate says which of two candidates is good. */
function rowsOf(count: number): LossRows {
  const dimension = 5;
  const features = normal(count * dimension);
  const losses = new Float64Array(count * 2);
  for (let row = 0; row < count; row++) {
    const x = features.subarray(row * dimension, (row + 1) * dimension);
    const norm = Math.hypot(...x);
    x.forEach((value, at) => (x[at] = value / norm));
    losses[2 * row] = 0.5 + 0.4 * x[0]! + 0.1 * random.normal();
    losses[2 * row + 1] = 0.5 - 0.4 * x[0]! + 0.1 * random.normal();
  }
  return { features, dimension, losses, candidates: 2 };
}

describe('gramMatrix', () => {
  it.each([1, 3, 4, 9])('is X^T X of %i rows', (rows) => {
    const x = normal(rows * 3);
    const gram = gramMatrix(x, 3);
    for (let i = 0; i < 3; i++)
      for (let j = 0; j < 3; j++) {
        let sum = 0;
        for (let row = 0; row < rows; row++) sum += x[row * 3 + i]! * x[row * 3 + j]!;
        expect(gram[i * 3 + j]).toBeCloseTo(sum, 10);
      }
  });
});

describe('principal directions', () => {
  it('find the plane that rows lie in, nearly', () => {
    const [a, b] = [normal(6), normal(6)];
    const rows = Float32Array.from({ length: 300 * 6 });
    for (let row = 0; row < 300; row++) {
      const [s, t] = [random.normal(), random.normal()];
      for (let at = 0; at < 6; at++) rows[row * 6 + at] = s * a[at]! + t * b[at]! + 0.001 * random.normal();
    }
    const projection = principalProjection(rows, 6, 2, 1);
    const sparse = principalDirections(
      {
        columns: 6,
        rows: Array.from({ length: 300 }, (_, row) => ({
          columns: [0, 1, 2, 3, 4, 5],
          values: [...rows.subarray(row * 6, row * 6 + 6)],
        })),
      },
      2,
      1,
    );
    const dense = [projection.subarray(0, 6), projection.subarray(6)].map((own) => Float64Array.from(own));
    for (const directions of [dense, sparse]) {
      for (const vector of [a, b]) {
        const inside = directions.reduce(
          (sum, own) => sum + own.reduce((dot, value, at) => dot + value * vector[at]!, 0) ** 2,
          0,
        );
        expect(inside / vector.reduce((sum, value) => sum + value * value, 0)).toBeCloseTo(1, 4);
      }
    }
  });

  it('leave what is narrow enough as it is', () => {
    expect([...principalProjection(normal(8), 2, 4, 1)]).toEqual([1, 0, 0, 1]);
  });
});

describe('rescaled', () => {
  const rows = rowsOf(60);
  const fitted = LEARNERS.flatMap((learner) => learner.fit(rows, 1).slice(0, 1));
  const all: LossHeads[] = [...fitted, averageOf(fitted)];
  it.each(all.map((heads) => [heads.kind, heads] as const))(
    'moves the losses of %s heads by slope and offset',
    (_, heads) => {
      const asked = rows.features.subarray(0, 10 * rows.dimension);
      const before = predictLosses(heads, asked);
      predictLosses(rescaled(heads, [2, 0.5], [1, -1]), asked).forEach((loss, at) => {
        expect(loss).toBeCloseTo(at % 2 === 0 ? 1 + 2 * before[at]! : -1 + 0.5 * before[at]!, 4);
      });
    },
  );
});

it('recalibration finds the slope and the means, and heeds no gaps', () => {
  const measured = Float64Array.from({ length: 400 }, () => random.normal());
  const predicted = measured.map((loss, at) => 0.5 * loss + (at % 2));
  const gaps = measured.map((loss, at) => (at % 7 === 0 ? NaN : loss));
  const { slope, offset } = recalibration(predicted, gaps, 2);
  expect(slope[0]).toBeCloseTo(2);
  expect(slope[1]).toBe(slope[0]);
  expect(offset[0]).toBeCloseTo(0);
  expect(offset[1]).toBeCloseTo(-2);
});

describe('chooseLearner', () => {
  const rows = rowsOf(500);
  const choiceRows: ChoiceRows = {
    ...rows,
    folds: Uint8Array.from({ length: 500 }, (_, at) => at % 5),
    costs: Float64Array.of(1, 0),
  };
  /** Predicts the same for all. */
  const constant: LearnerFamily = {
    name: 'constant',
    complexity: 0,
    settings: ['none'],
    fit: ({ dimension, candidates }) => [
      {
        kind: 'linear',
        dimension,
        weights: new Float32Array(candidates * dimension),
        bias: new Float32Array(candidates),
      },
    ],
  };
  const copy: LearnerFamily = { ...RIDGE, name: 'copy', complexity: 9 };

  it('takes what predicts, not what is merely simple', async () => {
    const choice = await chooseLearner(choiceRows, [constant, RIDGE], 1);
    expect(choice.chosen.learner).toBe('ridge');
    const blind = choice.tried.find(({ learner }) => learner === 'constant')!;
    expect(blind.behind).toBeGreaterThan(5 * blind.behindError);
    const heads = fitChosen(choiceRows, [constant, RIDGE], choice.chosen, 1);
    const predicted = predictLosses(heads, Float32Array.of(1, 0, 0, 0, 0));
    expect(predicted[0]).toBeGreaterThan(predicted[1]!);
  });

  it('takes the simpler of equals', async () => {
    const choice = await chooseLearner(choiceRows, [copy, RIDGE], 1);
    expect(choice.chosen.learner).toBe('ridge');
    expect(choice.why).toMatch(/within one standard error|least regret/);
  });

  it('fits every part of an average', async () => {
    const learners = [RIDGE, NEAREST];
    const { tried } = await chooseLearner(choiceRows, learners, 1);
    const average = tried.find(({ learner }) => learner === 'average')!;
    const heads = fitChosen(choiceRows, learners, average, 1);
    expect(heads.kind === 'average' && heads.parts.map(({ heads: own }) => own.kind)).toEqual([
      'linear',
      'nearest',
    ]);
  });
});
