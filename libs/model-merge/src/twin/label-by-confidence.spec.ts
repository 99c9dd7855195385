import { describe, expect, it } from 'vitest';
import { labelByConfidence, standardSureness, type ParentAnswers } from './label-by-confidence.js';

/** Answers of a parent that gives its first label these probabilities and shares the rest evenly. */
function answers(labels: number, first: readonly number[]): ParentAnswers {
  const rows = first.map((p) => [p, ...Array.from({ length: labels - 1 }, () => (1 - p) / (labels - 1))]);
  return { labels, logProbabilities: Float64Array.from(rows.flat(), Math.log) };
}

describe('standardSureness', () => {
  it('has mean 0 and deviation 1, rises with the probability, and takes certainty and even odds', () => {
    const sure = standardSureness(answers(4, [0.25, 0.5, 0.9, 1]));
    expect(sure.reduce((sum, value) => sum + value, 0)).toBeCloseTo(0, 10);
    expect(sure.reduce((sum, value) => sum + value ** 2, 0) / 4).toBeCloseTo(1, 10);
    expect([...sure]).toEqual([...sure].sort((a, b) => a - b));
  });

  it('says nothing for a parent that is as sure of every text', () => {
    expect([...standardSureness(answers(2, [0.9, 0.9, 0.9]))].map((value) => Math.abs(value))).toEqual([
      expect.closeTo(0, 5),
      expect.closeTo(0, 5),
      expect.closeTo(0, 5),
    ]);
  });
});

describe('labelByConfidence', () => {
  it('gives a text to the parent that is surest of it, though another of two labels has the larger probability', () => {
    // Two labels: never below one half. A hundred: 0.4 is far above chance.
    const two = answers(2, [0.6, 0.95, 0.65, 0.97]);
    const hundred = answers(100, [0.4, 0.03, 0.45, 0.02]);
    expect(labelByConfidence([two, hundred]).parents).toEqual([1, 0, 1, 0]);
    expect(labelByConfidence([hundred, two]).parents).toEqual([0, 1, 0, 1]);
  });

  it('does not believe one that is sure of everything', () => {
    const braggart = answers(2, [0.999, 0.9985, 0.9992, 0.9986]);
    const modest = answers(3, [0.4, 0.8, 0.42, 0.85]);
    expect(labelByConfidence([braggart, modest]).parents).toEqual([0, 1, 0, 1]);
  });

  it('has margins that are the distance to the next one, 0 where two agree', () => {
    const one = answers(3, [0.9, 0.5, 0.4]);
    const { parents, margins } = labelByConfidence([one, one]);
    expect(parents).toEqual([0, 0, 0]);
    expect(margins).toEqual([0, 0, 0]);
    const other = answers(3, [0.4, 0.5, 0.9]);
    const apart = labelByConfidence([one, other]);
    expect(apart.parents[0]).toBe(0);
    expect(apart.parents[2]).toBe(1);
    expect(apart.margins[0]).toBeGreaterThan(apart.margins[1]!);
  });
});
