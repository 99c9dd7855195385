import { rankedValue } from '@thalamus/tensor';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BLOCK, deltaBlock, fillDelta, MAGNITUDE, MagnitudeRank } from './magnitude-rank.js';
import { keepBand, keepBandOfRows, middleBand, topBand, type Band, type Sparsifier } from './sparsifiers.js';

/** Values with many ties, of every size: zeros, denormals, and neighbours that differ in the last bit. */
const values = fc
  .array(
    fc.oneof(
      fc.constantFrom(0, -0, 1, -1, 0.5, 1e-40, -1e-40, 3e38, Math.fround(1.0000001)),
      fc.float({ noNaN: true, noDefaultInfinity: true }),
    ),
    { minLength: 1, maxLength: 60 },
  )
  .chain((some) => fc.constantFrom(1, 60).map((times) => new Array<number[]>(times).fill(some).flat()))
  .map((list) => Float32Array.from(list));

/** The plain way: a stable sort by magnitude, largest first. */
const sortedBand = (data: Float32Array, { first, kept }: Band): Float32Array => {
  const order = Array.from(data.keys()).sort((a, b) => Math.abs(data[b]!) - Math.abs(data[a]!) || a - b);
  const out = new Float32Array(data.length);
  for (const i of order.slice(first, first + kept)) out[i] = data[i]!;
  return out;
};

const applied = (sparsifier: Sparsifier, data: Float32Array, rowLength = data.length): Float32Array => {
  const base = new Float32Array(data.length);
  const out = new Float32Array(data.length);
  const block = deltaBlock();
  sparsifier.begin({ tensor: 'w', parent: 'p', base, data, rowLength });
  for (let start = 0; start < data.length; start += BLOCK) {
    const length = fillDelta(block, base, data, start);
    sparsifier.apply(block, start, length);
    out.set(block.values.subarray(0, length), start);
  }
  return out;
};

const shares = fc.double({ min: 0.001, max: 0.999, noNaN: true });
const RUNS = { seed: 5, numRuns: 300 };

describe('sparsifiers', () => {
  it('keep what a stable sort by magnitude keeps, ties and both tails included', () => {
    fc.assert(
      fc.property(values, shares, shares, (data, density, gamma) => {
        for (const bandOf of [topBand(density), middleBand(density, gamma)])
          expect(applied(keepBand(bandOf, new MagnitudeRank()), data)).toEqual(
            sortedBand(data, bandOf(data.length)),
          );
      }),
      RUNS,
    );
  });

  it('keep a band of each row where rows are asked for', () => {
    fc.assert(
      fc.property(values, fc.integer({ min: 1, max: 5 }), shares, shares, (row, rows, density, gamma) => {
        const data = Float32Array.from(
          { length: rows * row.length },
          (_, i) => row[i % row.length]! * (1 + i),
        );
        if (data.some((value) => !Number.isFinite(value))) return;
        const bandOf = middleBand(density, gamma);
        const kept = applied(keepBandOfRows(bandOf), data, row.length);
        for (let at = 0; at < data.length; at += row.length)
          expect(kept.subarray(at, at + row.length)).toEqual(
            sortedBand(data.subarray(at, at + row.length), bandOf(row.length)),
          );
      }),
      RUNS,
    );
  });

  it('a band always lies inside the tensor', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 5000 }), shares, shares, (n, density, gamma) => {
        const { first, kept } = middleBand(density, gamma)(n);
        expect(kept).toBe(Math.trunc(density * n));
        expect(first).toBeGreaterThanOrEqual(0);
        expect(first + kept).toBeLessThanOrEqual(n);
      }),
      RUNS,
    );
  });
});

describe('selection', () => {
  it('both ways find the element of every rank', () => {
    fc.assert(
      fc.property(values, fc.nat(), (data, at) => {
        const rank = at % data.length;
        const zeros = new Float32Array(data.length);
        const bits = new Uint32Array(data.buffer).map((value) => value & MAGNITUDE);
        const wanted = Array.from(bits).sort((a, b) => b - a)[rank]!;
        const [found] = new MagnitudeRank().ofDelta(deltaBlock(), zeros, data, [rank]);
        expect(found).toEqual({ bits: wanted, larger: bits.filter((value) => value > wanted).length });
        expect(rankedValue(bits.slice(), rank)).toBe(wanted);
      }),
      RUNS,
    );
  });
});
