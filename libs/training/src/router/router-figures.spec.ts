import { describe, expect, it } from 'vitest';
import { groupedBootstrap } from './grouped-bootstrap.js';
import { withGuesses } from './loss-matrix.js';
import { choicesOf } from './routed-choices.js';
import { strongWeakCurve, strongWeakFigures } from './strong-weak.js';
import { textNeighbourLosses } from './text-neighbours.js';

describe('strong and weak', () => {
  const strong = [1, 1, 1, 1];
  const weak = [1, 1, 0, 0];

  it('closes the whole gap with the calls that matter when the router knows them', () => {
    const figures = strongWeakFigures({ advantage: [0, 0, 1, 1], strong, weak });
    // Straight up to half of the calls, flat after: 1/4 + 1/2.
    expect(figures.apgr).toBeCloseTo(0.75);
    expect(figures.cpt50).toBeCloseTo(0.25);
    expect(figures.cpt80).toBeCloseTo(0.4);
    expect(figures.calls95).toBeCloseTo(0.45);
  });

  it('gives a coin one half, whatever the order of the rows', () => {
    expect(strongWeakFigures({ advantage: [0, 0, 0, 0], strong, weak }).apgr).toBeCloseTo(0.5);
    expect(strongWeakFigures({ advantage: [0, 0, 0, 0], strong, weak: weak.toReversed() }).apgr).toBeCloseTo(
      0.5,
    );
    expect(strongWeakFigures({ advantage: [1, 1, 0, 0], strong, weak }).apgr).toBeCloseTo(0.25);
  });

  it('runs from the weak model to the strong one', () => {
    const curve = strongWeakCurve({ advantage: [0, 3, 1, 2], strong, weak }, 4);
    expect(curve.map(({ quality }) => quality)).toEqual([0.5, 0.5, 0.75, 1, 1]);
  });
});

describe('choicesOf', () => {
  it('never chooses what has no result, and heeds costs', () => {
    const measured = Float64Array.of(NaN, 0.5, 0.2, 0.1, 0.4, 0.9);
    const predicted = [0, 0.3, 0.4, 0.2, 0.25, 0.9];
    expect([...choicesOf({ predicted, measured, candidates: 3 })]).toEqual([1, 0]);
    expect([...choicesOf({ predicted, measured, candidates: 3, costs: [1, 0.5, 0], lambda: 1 })]).toEqual([
      2, 1,
    ]);
  });
});

it('guesses for what has no result lie between model and prompt', () => {
  const losses = Float64Array.of(0.2, 0.6, 0.4, NaN, 0.6, 1);
  const guessed = withGuesses(losses, 2);
  // The second prompt is as hard as the mean for the first model, so that the second gets its mean.
  expect(guessed[3]).toBeCloseTo(0.8);
  expect(withGuesses(guessed, 2)).toBe(guessed);
});

it('the bootstrap draws groups whole', () => {
  const values = Float64Array.from({ length: 100 }, (_, at) => (at < 50 ? 0 : 1));
  const alone = groupedBootstrap(
    values,
    Array.from(values, (_, at) => String(at)),
    1,
  );
  const two = groupedBootstrap(
    values,
    Array.from(values, (value) => String(value)),
    1,
  );
  expect(alone[0]).toBeGreaterThan(0.35);
  expect(alone[1]).toBeLessThan(0.65);
  expect(two).toEqual([0, 1]);
});

it('TF-IDF neighbours find the text that shares rare words', () => {
  const texts = ['the cat sat on the mat', 'integrate the function over x', 'the dog sat on the rug'];
  const losses = Float64Array.of(0, 1, 1, 0, 0, 1);
  expect([...textNeighbourLosses({ texts, losses }, ['integrate x squared'], 2, 1)]).toEqual([1, 0]);
  expect(
    [...textNeighbourLosses({ texts, losses }, ['zzz'], 2, 1)].map((loss) => Number(loss.toFixed(3))),
  ).toEqual([0.333, 0.667]);
});
