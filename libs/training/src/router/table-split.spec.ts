import { describe, expect, it } from 'vitest';
import type { RoutingRow } from './routing-table.js';
import { foldsOf, splitParts, splitRule } from './table-split.js';

const row = (prompt: string, doc?: string): RoutingRow => ({
  id: prompt,
  task: '',
  prompt,
  ...(doc === undefined ? {} : { doc }),
  losses: new Float64Array(2),
});
const rows = Array.from({ length: 4000 }, (_, at) => row(`prompt ${at}`));
const shares = { seed: 3, validation: 0.1, test: 0.2 };

describe('splitParts', () => {
  it('gives about the shares, the same again for a seed and others for another', () => {
    const rule = splitRule(rows, shares);
    expect(rule.by).toBe('prompt');
    const parts = splitParts(rows, rule);
    const share = (part: string) => parts.filter((own) => own === part).length / rows.length;
    // Four standard deviations of a binomial share of 4,000.
    expect(Math.abs(share('test') - 0.2)).toBeLessThan(4 * Math.sqrt((0.2 * 0.8) / 4000));
    expect(Math.abs(share('validation') - 0.1)).toBeLessThan(4 * Math.sqrt((0.1 * 0.9) / 4000));
    expect(splitParts(rows, rule)).toEqual(parts);
    expect(splitParts(rows, { ...rule, seed: 4 })).not.toEqual(parts);
  });

  it('does not depend on the order of the rows, nor on white space around a prompt', () => {
    const rule = splitRule(rows, shares);
    const parts = splitParts(rows, rule);
    expect(splitParts(rows.toReversed(), rule)).toEqual(parts.toReversed());
    expect(
      splitParts(
        rows.map(({ prompt }) => row(` ${prompt}\n`)),
        rule,
      ),
    ).toEqual(parts);
  });

  it('keeps documents together where every row has one', () => {
    const documents = rows.map(({ prompt }, at) => row(prompt, `doc ${at % 100}`));
    const rule = splitRule(documents, shares);
    expect(rule.by).toBe('doc');
    const partOf = new Map<string, string>();
    splitParts(documents, rule).forEach((part, at) => {
      const doc = documents[at]!.doc!;
      expect(partOf.get(doc) ?? part).toBe(part);
      partOf.set(doc, part);
    });
    expect(() => splitParts(rows, rule)).toThrow(/has no doc/);
  });
});

it('folds are about equal and hold equal prompts together', () => {
  const rule = splitRule(rows, shares);
  const folds = foldsOf([...rows, ...rows], rule, 5);
  expect([...folds.subarray(0, rows.length)]).toEqual([...folds.subarray(rows.length)]);
  for (let fold = 0; fold < 5; fold++) {
    const count = folds.filter((own) => own === fold).length / 2;
    expect(Math.abs(count - 800)).toBeLessThan(4 * Math.sqrt(4000 * 0.2 * 0.8));
  }
});
