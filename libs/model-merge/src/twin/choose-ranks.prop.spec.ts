import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chooseRanks, FACTOR_BYTES, maxRankOf, type RankRule, type Spectrum } from './choose-ranks.js';

const RUNS = { seed: 20261129, numRuns: 60 };

/** Falling values, some equal, some zero. */
const values = (most: number) =>
  fc
    .array(fc.oneof(fc.constantFrom(0, 1, 2), fc.double({ min: 1e-3, max: 9, noNaN: true })), {
      minLength: most,
      maxLength: most,
    })
    .map((all) => Float64Array.from(all.toSorted((a, b) => b - a)));

/** Spectra of one matrix for some parents, whole: as many values as the smaller side. */
const spectrum = (rows: number, columns: number): fc.Arbitrary<Spectrum> =>
  values(Math.min(rows, columns)).map((s) => ({ rows, columns, s, energy: energyOf(s) }));

const matrices = fc
  .record({
    parents: fc.integer({ min: 1, max: 3 }),
    sizes: fc.array(fc.tuple(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 9 })), {
      minLength: 1,
      maxLength: 4,
    }),
  })
  .chain(({ parents, sizes }) =>
    fc.tuple(
      ...sizes.map(([rows, columns]) =>
        fc.array(spectrum(rows, columns), { minLength: parents, maxLength: parents }),
      ),
    ),
  )
  .map((all) => new Map(all.map((own, at) => [`matrix-${at}`, own])));

const energyOf = (s: Float64Array, rank = s.length) =>
  s.subarray(0, rank).reduce((sum, value) => sum + value * value, 0);

/** Every spectrum with the rank that it was given. */
function ranked(spectra: ReadonlyMap<string, readonly Spectrum[]>, rule: RankRule) {
  const ranks = chooseRanks(spectra, rule);
  expect([...ranks.keys()]).toEqual([...spectra.keys()]);
  return [...spectra].flatMap(([name, all]) => {
    expect(ranks.get(name)).toHaveLength(all.length);
    return all.map((of, parent) => ({ ...of, rank: ranks.get(name)![parent]! }));
  });
}

const bytesOf = (all: readonly (Spectrum & { rank: number })[]) =>
  all.reduce((sum, { rows, columns, rank }) => sum + FACTOR_BYTES * rank * (rows + columns), 0);
const keptOf = (all: readonly (Spectrum & { rank: number })[]) =>
  all.reduce((sum, { s, rank }) => sum + energyOf(s, rank), 0);

describe('chooseRanks', () => {
  it('by fraction: the whole part of the share of the smaller side, and at least one', () => {
    const of = (fraction: number, rows: number, columns: number) =>
      ranked(new Map([['w', [{ rows, columns, energy: 1, s: new Float64Array(Math.min(rows, columns)) }]]]), {
        kind: 'fraction',
        fraction,
      })[0]!.rank;
    // The paper's code: int(0.1 * min(d_out, d_in)).
    expect([of(0.1, 768, 3072), of(0.1, 514, 768), of(0.1, 9, 9), of(0.5, 3, 7)]).toEqual([76, 51, 1, 1]);
    expect([of(1, 4, 6), of(1e-9, 4, 6)]).toEqual([4, 1]);
    fc.assert(
      fc.property(matrices, fc.double({ min: 0.001, max: 1, noNaN: true }), (spectra, fraction) => {
        for (const { rows, columns, rank } of ranked(spectra, { kind: 'fraction', fraction })) {
          const side = Math.min(rows, columns);
          expect(rank).toBeGreaterThanOrEqual(1);
          expect(rank === 1 || rank <= fraction * side).toBe(true);
          expect(rank + 1).toBeGreaterThan(fraction * side);
        }
      }),
      RUNS,
    );
  });

  it('by rank: that of all matrices, cut where a side is smaller', () => {
    fc.assert(
      fc.property(matrices, fc.integer({ min: 1, max: 12 }), (spectra, rank) => {
        for (const { rows, columns, rank: chosen } of ranked(spectra, { kind: 'rank', rank }))
          expect(chosen).toBe(Math.min(rank, rows, columns));
      }),
      RUNS,
    );
  });

  it('by energy: at least the share is kept, and one rank less would not do', () => {
    fc.assert(
      fc.property(matrices, fc.double({ min: 0.05, max: 1, noNaN: true }), (spectra, share) => {
        for (const { s, energy, rank } of ranked(spectra, { kind: 'energy', share })) {
          expect(energyOf(s, rank)).toBeGreaterThanOrEqual(share * energy);
          if (rank > 0) expect(energyOf(s, rank - 1)).toBeLessThan(share * energy);
        }
      }),
      RUNS,
    );
  });

  it('by energy: takes what there is where the values that were computed do not hold the share', () => {
    const cut = { rows: 8, columns: 8, energy: 100, s: Float64Array.of(5, 3) };
    expect(ranked(new Map([['w', [cut]]]), { kind: 'energy', share: 0.9 })[0]!.rank).toBe(2);
  });

  it('by bytes: never above the budget, and more bytes keep no less energy', () => {
    fc.assert(
      fc.property(matrices, fc.nat(900), fc.nat(300), (spectra, bytes, more) => {
        const least = ranked(spectra, { kind: 'bytes', bytes });
        const most = ranked(spectra, { kind: 'bytes', bytes: bytes + more });
        expect(bytesOf(least)).toBeLessThanOrEqual(bytes);
        expect(keptOf(most)).toBeGreaterThanOrEqual(keptOf(least) - 1e-9);
        // What is left out does not fit, or adds nothing.
        for (const { rows, columns, s, rank } of least)
          if ((s[rank] ?? 0) > 0)
            expect(bytesOf(least) + FACTOR_BYTES * (rows + columns)).toBeGreaterThan(bytes);
      }),
      { ...RUNS, numRuns: 200 },
    );
  });

  it('by bytes: where all matrices are of one size, no direction is left out for a weaker one', () => {
    const equal = fc
      .array(spectrum(5, 7), { minLength: 2, maxLength: 4 })
      .map((all) => new Map([['w', all.slice(0, 1)] as const, ['v', all.slice(1)] as const]));
    fc.assert(
      fc.property(equal, fc.nat(600), (spectra, bytes) => {
        const all = ranked(spectra, { kind: 'bytes', bytes });
        const weakest = Math.min(...all.flatMap(({ s, rank }) => [...s.subarray(0, rank)]));
        const strongest = Math.max(0, ...all.flatMap(({ s, rank }) => [...s.subarray(rank)]));
        expect(weakest).toBeGreaterThanOrEqual(strongest);
        const possible = all.flatMap(({ s }) => [...s]).filter((value) => value > 0).length;
        expect(all.reduce((sum, { rank }) => sum + rank, 0)).toBe(
          Math.min(possible, Math.floor(bytes / (FACTOR_BYTES * 12))),
        );
      }),
      RUNS,
    );
  });

  it('by bytes: a byte of a small matrix that keeps more is spent first', () => {
    const spectra = new Map([
      ['large', [{ rows: 90, columns: 10, energy: 100, s: Float64Array.of(10) }]],
      ['small', [{ rows: 4, columns: 6, energy: 16, s: Float64Array.of(4) }]],
    ]);
    const of = (bytes: number) => ranked(spectra, { kind: 'bytes', bytes }).map(({ rank }) => rank);
    // 100 / 200 bytes against 16 / 20 bytes.
    expect([of(19), of(20), of(219), of(220)]).toEqual([
      [0, 0],
      [0, 1],
      [0, 1],
      [1, 1],
    ]);
  });

  it.each<RankRule>([
    { kind: 'fraction', fraction: 0.5 },
    { kind: 'rank', rank: 3 },
    { kind: 'energy', share: 1 },
    { kind: 'bytes', bytes: 1e6 },
  ])('a matrix that does not change has rank 0: $kind', (rule) => {
    const still = { rows: 4, columns: 4, energy: 0, s: new Float64Array() };
    const moved = { rows: 4, columns: 4, energy: 1, s: Float64Array.of(1, 0, 0, 0) };
    const ranks = chooseRanks(new Map([['w', [still, moved]]]), rule).get('w')!;
    expect(ranks[0]).toBe(0);
    expect(ranks[1]).toBeGreaterThan(0);
  });
});

describe('maxRankOf', () => {
  it('asks for no more values than a rule may choose, nor than there are', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 40 }), (rows, columns) => {
        const side = Math.min(rows, columns);
        const of = (rule: RankRule) => maxRankOf(rule)(rows, columns);
        expect(of({ kind: 'fraction', fraction: 1 })).toBe(side);
        expect(of({ kind: 'rank', rank: 6 })).toBe(Math.min(6, side));
        for (const rule of [{ kind: 'energy', share: 1 } as const, { kind: 'bytes', bytes: 1e9 } as const])
          expect(of(rule)).toBe(Math.max(1, Math.floor(side / 2)));
      }),
      RUNS,
    );
  });
});
