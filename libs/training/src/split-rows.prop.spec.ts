import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { normalised, rowUse, splitForTraining } from './split-rows.js';

const RULE = { expert: 70, router: 15, validation: 15 };

describe('the split of the zoo', () => {
  it('never changes: the committed manifest rests on it', () => {
    const uses = ['I lost my card', 'Book a table', 'What is the weather', 'play jazz', 'a', 'b', 'c', 'd'];
    expect(uses.map((text) => rowUse(text, RULE))).toMatchInlineSnapshot(`
      [
        "router",
        "expert",
        "validation",
        "validation",
        "expert",
        "expert",
        "validation",
        "expert",
      ]
    `);
  });

  it('does not see case and white space, nor the order of a file', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom('a', 'B', ' ', 'ü'), { maxLength: 8 }), (parts) => {
        const text = parts.join('');
        expect(rowUse(`  ${text.toUpperCase().replaceAll(' ', ' \t\n')} `, RULE)).toBe(rowUse(text, RULE));
      }),
      { seed: 5, numRuns: 200 },
    );
  });

  it('gives every use its share', () => {
    const counts = { expert: 0, router: 0, validation: 0 };
    for (let i = 0; i < 20_000; i++) counts[rowUse(`prompt ${i}`, RULE)] += 1;
    // Four standard deviations of a binomial count.
    for (const [use, share] of Object.entries(RULE)) {
      const p = share / 100;
      const deviation = Math.sqrt(20_000 * p * (1 - p));
      expect(Math.abs(counts[use as keyof typeof counts] - 20_000 * p)).toBeLessThan(4 * deviation);
    }
  });
});

describe('the split of a training job', () => {
  const texts = fc.array(
    fc.record({
      text: fc.integer({ min: 0, max: 400 }).map((n) => `text ${n}`),
      label: fc.constantFrom('a', 'b', 'c'),
    }),
    { minLength: 300, maxLength: 400 },
  );

  it('keeps every row once, equal texts together, and every held-out label in training', () => {
    fc.assert(
      fc.property(texts, fc.integer({ min: 0, max: 9 }), (rows, seed) => {
        const split = splitForTraining(rows, { seed, holdOutTest: true, file: 'a.csv' });
        expect([...split.train, ...split.validation, ...split.test]).toHaveLength(rows.length);
        const sets = [split.train, split.validation, split.test].map(
          (part) => new Set(part.map(({ text }) => normalised(text))),
        );
        for (const [i, a] of sets.entries())
          for (const b of sets.slice(i + 1)) expect([...a].filter((text) => b.has(text))).toEqual([]);
        const learned = new Set(split.train.map(({ label }) => label));
        for (const { label } of [...split.validation, ...split.test]) expect(learned.has(label)).toBe(true);
      }),
      { seed: 6, numRuns: 40 },
    );
  });

  const many = Array.from({ length: 400 }, (_, n) => ({ text: `row ${n}`, label: n % 2 ? 'odd' : 'even' }));
  const of = (seed: number, holdOutTest = true) =>
    splitForTraining(many, { seed, holdOutTest, file: 'a.csv' });

  it('depends on the seed and on nothing else', () => {
    expect(of(1)).toEqual(of(1));
    expect(of(1).test).not.toEqual(of(2).test);
    expect(
      new Set(splitForTraining([...many].reverse(), { seed: 1, holdOutTest: true, file: 'a.csv' }).test),
    ).toEqual(new Set(of(1).test));
  });

  it('holds no test rows out when a test set is given', () => {
    expect(of(1, false).test).toEqual([]);
    expect(of(1, false).train.length).toBeGreaterThan(of(1).train.length);
  });

  it('moves a label whose rows were all held out to training', () => {
    const lonely = of(1).test[0]!;
    const rows = many.map((row) => (row.text === lonely.text ? { ...row, label: 'rare' } : row));
    const split = splitForTraining(rows, { seed: 1, holdOutTest: true, file: 'a.csv' });
    expect(split.train.some(({ label }) => label === 'rare')).toBe(true);
    expect(split.test.some(({ label }) => label === 'rare')).toBe(false);
  });

  it('refuses one label only, and too few rows', () => {
    const one = many.map((row) => ({ ...row, label: 'same' }));
    expect(() => splitForTraining(one, { seed: 0, holdOutTest: true, file: 'a.csv' })).toThrow(
      /a\.csv.*two labels/,
    );
    expect(() => splitForTraining(many.slice(0, 2), { seed: 0, holdOutTest: true, file: 'a.csv' })).toThrow(
      /2 rows of 2 labels are too few.*more rows/,
    );
  });
});
