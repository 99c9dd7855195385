import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { unionLabels } from './union-labels.js';

const labelLists = fc.array(
  fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'), { minLength: 2 }),
  {
    minLength: 1,
    maxLength: 5,
  },
);

describe('unionLabels', () => {
  it('holds every label once, and every parent finds each of its labels at its position', () => {
    fc.assert(
      fc.property(labelLists, (lists) => {
        const { labels, positions } = unionLabels(lists);
        expect([...labels].sort()).toEqual([...new Set(lists.flat())].sort());
        lists.forEach((own, parent) => {
          expect(positions[parent]!.map((position) => labels[position])).toEqual(own);
        });
      }),
      { seed: 3, numRuns: 200 },
    );
  });

  it('keeps the order of one parent alone', () => {
    expect(unionLabels([['z', 'a', 'm']])).toEqual({ labels: ['z', 'a', 'm'], positions: [[0, 1, 2]] });
  });

  it('makes one label of equal texts and keeps texts apart that differ in case', () => {
    expect(
      unionLabels([
        ['yes', 'no'],
        ['no', 'Yes'],
      ]),
    ).toEqual({
      labels: ['yes', 'no', 'Yes'],
      positions: [
        [0, 1],
        [1, 2],
      ],
    });
  });
});
