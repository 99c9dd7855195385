import { createRandom } from '@thalamus/tensor';
import { describe, expect, it } from 'vitest';
import { bestExperts, chanceAgreement, neighbourAgreement } from './neighbour-agreement.js';
import { planeLayout } from './plane-layout.js';
import { mapRows, promptMap } from './prompt-map.js';
import { nearestRows, squaredDistances } from './squared-distances.js';

const DIMENSION = 6;

/** Three clouds of 40 prompts each, in six dimensions, in turn. */
function clouds() {
  const random = createRandom(5);
  const group = Array.from({ length: 120 }, (_, at) => at % 3);
  const vectors = Float32Array.from(
    group.flatMap((own) => {
      return Array.from({ length: DIMENSION }, (_, k) => (k === own ? 8 : 0) + random.normal());
    }),
  );
  return { group, vectors };
}

const rowOf = (group: number, at: number) => ({
  id: String(at),
  task: `set-${group}`,
  prompt: 'a secret',
  losses: Float64Array.from({ length: 3 }, (_, k) => (k === group ? 0 : 1)),
});

describe('squaredDistances and nearestRows', () => {
  it('are those of hand', () => {
    const distances = squaredDistances([0, 0, 3, 4, 0, 1], 2);
    expect([...distances]).toEqual([0, 25, 1, 25, 0, 18, 1, 18, 0]);
    expect(nearestRows(distances, 1)).toEqual([[2], [2], [0]]);
    expect(nearestRows(distances, 5)[1]).toEqual([2, 0]);
  });
});

describe('bestExperts', () => {
  it('names all that are as good as the best, and none where all are', () => {
    expect(bestExperts([0.2, 0.2, 0.5])).toEqual(new Set([0, 1]));
    expect(bestExperts([NaN, 0.4, 0.5])).toEqual(new Set([1]));
    expect(bestExperts([1, 1])).toBeUndefined();
    expect(bestExperts([NaN, 1])).toBeUndefined();
  });
});

describe('neighbourAgreement', () => {
  const facts = {
    label: [0, 0, 1, 1],
    best: [new Set([0]), new Set([0, 1]), new Set([1]), undefined],
  };

  it('is the mean share of neighbours that agree, by hand', () => {
    const found = neighbourAgreement(facts, [
      [1, 2],
      [0, 2],
      [1, 3],
      [0, 1],
    ]);
    // Labels: 1/2, 1/2, 1/2, 0. Best: 1/2, 2/2, 1/1 (the one without a best says nothing); the last row has none.
    expect(found.label).toBeCloseTo(0.375);
    expect(found.best).toBeCloseTo((0.5 + 1 + 1) / 3);
  });

  it('has no best where experts never differ', () => {
    const same = { label: [0, 0], best: [undefined, undefined] };
    expect(neighbourAgreement(same, [[1], [0]])).toEqual({ label: 1, best: null });
  });

  it('by chance, is what any two agree on', () => {
    expect(chanceAgreement({ label: [0, 0, 1], best: facts.best.slice(0, 3) }).label).toBeCloseTo(1 / 3);
  });
});

describe('planeLayout', () => {
  const { group, vectors } = clouds();
  const distances = squaredDistances(vectors, DIMENSION);
  const random = createRandom(9);
  const start = {
    x: Float64Array.from(group, () => random.normal()),
    y: Float64Array.from(group, () => random.normal()),
  };

  it('keeps neighbours together that were together, from any start', () => {
    const { x, y } = planeLayout(distances, start);
    const places = Array.from(x).flatMap((value, at) => [value, y[at]!]);
    const near = nearestRows(squaredDistances(places, 2), 10);
    const facts = { label: group, best: group.map(() => undefined) };
    expect(neighbourAgreement(facts, near).label).toBeGreaterThan(0.95);
    const before = Array.from(start.x).flatMap((value, at) => [value, start.y[at]!]);
    expect(neighbourAgreement(facts, nearestRows(squaredDistances(before, 2), 10)).label).toBeLessThan(0.5);
  });

  it('gives the same places again, all of them finite, equal points included', () => {
    const equal = squaredDistances(new Float32Array(40), 2);
    const line = { x: new Float64Array(20), y: new Float64Array(20) };
    const { x, y } = planeLayout(equal, line, { iterations: 50 });
    expect([...x, ...y].every(Number.isFinite)).toBe(true);
    expect(planeLayout(distances, start, { iterations: 60 })).toEqual(
      planeLayout(distances, start, { iterations: 60 }),
    );
  });
});

describe('promptMap', () => {
  const { group, vectors } = clouds();
  const rows = group.map(rowOf);
  const map = promptMap({
    rows,
    chosen: group,
    spaces: [
      { space: 'encoder', vectors, dimension: DIMENSION },
      { space: 'losses', vectors: Float32Array.from(group), dimension: 1 },
    ],
    seed: 1,
  });

  it('tells groups from chance, and holds no text', () => {
    expect(map.labels.toSorted()).toEqual(['set-0', 'set-1', 'set-2']);
    expect(map.chance.label).toBeCloseTo(39 / 119, 3);
    expect(map.spaces.map(({ space }) => space)).toEqual(['encoder', 'losses']);
    expect(map.spaces[0]!.purity.label).toBeGreaterThan(0.95);
    expect(map.spaces[1]!.purity).toEqual({ label: 1, best: 1 });
    expect(JSON.stringify(map)).not.toContain('secret');
  });

  it('places whole points inside the square', () => {
    for (const { x, y } of map.spaces) {
      expect(x).toHaveLength(120);
      expect([...x, ...y].every((value) => Number.isInteger(value) && value >= 0 && value <= 1000)).toBe(
        true,
      );
    }
  });

  it('puts labels beyond the most under one name', () => {
    const many = Array.from({ length: 80 }, (_, at) => ({
      ...rowOf(at % 3, at),
      task: at < 10 ? '' : `t${at}`,
    }));
    const made = promptMap({
      rows: many,
      chosen: many.map(() => 0),
      spaces: [{ space: 'losses', vectors: new Float32Array(160), dimension: 2 }],
      seed: 1,
    });
    expect(made.labels).toHaveLength(64);
    expect(made.labels[0]).toBe('no label');
    expect(made.labels.at(-1)).toBe('others');
    expect(Math.max(...made.label)).toBe(63);
  });
});

describe('mapRows', () => {
  it('takes all of few rows, and some of many by chance, in order', () => {
    expect(mapRows(3, 1)).toEqual([0, 1, 2]);
    const some = mapRows(5000, 1);
    expect(some).toHaveLength(1000);
    expect(some).toEqual(some.toSorted((a, b) => a - b));
    expect(new Set(some).size).toBe(1000);
    expect(mapRows(5000, 2)).not.toEqual(some);
  });
});
