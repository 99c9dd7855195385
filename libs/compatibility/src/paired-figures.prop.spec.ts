import { createRandom } from '@thalamus/tensor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { itemsNeeded, mcnemarExact, mcnemarMidP } from './mcnemar.js';
import { holm } from './multiplicity.js';
import { pairedBootstrap } from './paired-bootstrap.js';
import { scoreChanges } from './score-changes.js';

const scores = fc.array(
  fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true })),
  { minLength: 1, maxLength: 60 },
);

describe('scoreChanges', () => {
  it('adds up: the mean change is what gains bring less what regressions cost', () => {
    fc.assert(
      fc.property(scores, (pairs) => {
        const changes = scoreChanges(
          pairs.map(([before]) => before),
          pairs.map(([, after]) => after),
        );
        const sum = changes.higher * changes.gainSize - changes.lower * changes.regressionSize;
        expect(sum).toBeCloseTo(changes.meanChange, 12);
      }),
    );
  });

  it('turns around when the versions change places', () => {
    fc.assert(
      fc.property(scores, (pairs) => {
        const [old, fresh] = [pairs.map(([before]) => before), pairs.map(([, after]) => after)];
        const [there, back] = [scoreChanges(old, fresh), scoreChanges(fresh, old)];
        expect(back).toMatchObject({ lower: there.higher, higher: there.lower });
        expect(back.gainSize).toBeCloseTo(there.regressionSize, 12);
      }),
    );
  });

  it.each([
    [[1], [1, 2], 'both score the same items'],
    [[1, NaN], [1, 2], 'item 1'],
  ])('refuses %s and %s', (before, after, message) => {
    expect(() => scoreChanges(before, after)).toThrow(message);
  });
});

describe('McNemar', () => {
  it('mid-p is smaller than the exact p, and both are symmetric', () => {
    fc.assert(
      fc.property(fc.nat(300), fc.nat(300), (b, c) => {
        expect(mcnemarMidP(b, c)).toBeLessThanOrEqual(mcnemarExact(b, c));
        expect(mcnemarMidP(b, c)).toBe(mcnemarMidP(c, b));
      }),
    );
  });

  it('sees the difference with the items that it asks for in about the share of runs that was wanted', () => {
    const wanted = { difference: 0.05, discordance: 0.15, power: 0.8 };
    const items = itemsNeeded(wanted);
    const random = createRandom(3);
    let seen = 0;
    for (let run = 0; run < 1000; run++) {
      let [worse, better] = [0, 0];
      for (let item = 0; item < items; item++) {
        const draw = random.next();
        if (draw < 0.05) worse += 1;
        else if (draw < 0.15) better += 1;
      }
      if (mcnemarMidP(worse, better) <= 0.05) seen += 1;
    }
    expect(Math.abs(seen / 1000 - 0.8)).toBeLessThan(0.05);
  });

  it('asks for fewer items to see more', () => {
    const at = (difference: number) => itemsNeeded({ difference, discordance: 0.2 });
    expect(at(0.02)).toBeGreaterThan(at(0.05));
    expect(at(-0.05)).toBe(at(0.05));
    expect(() => at(0.3)).toThrow(RangeError);
    expect(() => at(0)).toThrow(RangeError);
  });
});

describe('holm', () => {
  it('lies between the raw p-values and those of Bonferroni, and keeps their order', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 20 }), (raw) => {
        const adjusted = holm(raw);
        raw.forEach((p, at) => {
          expect(adjusted[at]).toBeGreaterThanOrEqual(p);
          expect(adjusted[at]).toBeLessThanOrEqual(Math.min(1, raw.length * p) + 1e-15);
          raw.forEach((other, to) => {
            if (p < other) expect(adjusted[at]).toBeLessThanOrEqual(adjusted[to]!);
          });
        });
      }),
    );
  });

  it('refuses what is no p-value', () => {
    expect(() => holm([0.1, 1.2])).toThrow('1.2');
  });
});

describe('pairedBootstrap', () => {
  it('holds the true mean in about its share of samples', () => {
    const random = createRandom(5);
    let held = 0;
    for (let sample = 0; sample < 400; sample++) {
      const differences = Array.from({ length: 80 }, () => 0.2 + random.normal());
      const { low, high } = pairedBootstrap(differences, { seed: sample, resamples: 400 });
      if (low <= 0.2 && high >= 0.2) held += 1;
    }
    expect(held / 400).toBeGreaterThan(0.9);
    expect(held / 400).toBeLessThan(0.99);
  });

  it('is wider when items come in groups that go together', () => {
    const random = createRandom(6);
    const groups: string[] = [];
    const differences = Array.from({ length: 20 }, (_, group) => {
      const shared = random.normal();
      return Array.from({ length: 10 }, () => {
        groups.push(String(group));
        return shared + 0.1 * random.normal();
      });
    }).flat();
    const width = ({ low, high }: { low: number; high: number }) => high - low;
    const alone = pairedBootstrap(differences, { seed: 1 });
    const together = pairedBootstrap(differences, { seed: 1, groups });
    expect(width(together)).toBeGreaterThan(2 * width(alone));
    expect(together).toEqual(pairedBootstrap(differences, { seed: 1, groups }));
  });

  it('refuses no items, and groups of another number', () => {
    expect(() => pairedBootstrap([], { seed: 1 })).toThrow('no items');
    expect(() => pairedBootstrap([1], { seed: 1, groups: [] })).toThrow('1 items have 0 groups');
  });
});
