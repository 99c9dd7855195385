import { rankedValue } from '@thalamus/tensor';
import { counterKey, counterRandom, type CounterKey } from './counter-random.js';
import {
  BLOCK,
  deltaBlock,
  fillDelta,
  MAGNITUDE,
  type MagnitudeRank,
  type DeltaBlock,
  type RankedMagnitude,
} from './magnitude-rank.js';

/** The difference of one parent to the base, in one tensor. */
export interface Delta {
  readonly tensor: string;
  readonly parent: string;
  readonly base: Float32Array;
  readonly data: Float32Array;
  /** Length of a row: the last dimension. */
  readonly rowLength: number;
}

/** Zeroes part of a difference, block by block in order. */
export interface Sparsifier {
  /** Looks at one difference; blocks of it are asked for next, from the start and in order. */
  begin(delta: Delta): void;
  /** Zeroes what is dropped of the block that starts at `start`. */
  apply(block: DeltaBlock, start: number, length: number): void;
}

/** Keeps everything. */
export const keepAll: Sparsifier = { begin: () => undefined, apply: () => undefined };

/** Drops everything. */
export const dropAll: Sparsifier = {
  begin: () => undefined,
  apply: ({ values }, _start, length) => values.fill(0, 0, length),
};

/** Keeps every magnitude from a threshold on; for thresholds of the whole model. */
export function keepFrom(threshold: number): Sparsifier {
  return {
    begin: () => undefined,
    apply({ values, bits }, _start, length) {
      for (let j = 0; j < length; j++) if ((bits[j]! & MAGNITUDE) < threshold) values[j] = 0;
    },
  };
}

/** Ranks [first, first + kept) of a descending order of n magnitudes. */
export interface Band {
  readonly first: number;
  readonly kept: number;
}

/** The largest share of n magnitudes, at least one: TIES' trim as mergekit rounds it. */
export function topBand(density: number): (n: number) => Band {
  return (n) => ({ first: 0, kept: Math.max(1, Math.trunc(density * n)) });
}

/**
 * Model Breadcrumbs: the largest `gamma` of n magnitudes go, the next `density` stay. Fewer of the largest go when less than
 * `density` would be left, as in mergekit.
 */
export function middleBand(density: number, gamma: number): (n: number) => Band {
  return (n) => {
    const kept = Math.trunc(density * n);
    const bottom = Math.max(0, n - kept - Math.trunc(gamma * n));
    return { first: n - bottom - kept, kept };
  };
}

/** Keeps a band of the magnitudes of a tensor, exactly as many as the band says; ties go by index. */
export function keepBand(bandOf: (n: number) => Band, rank: MagnitudeRank): Sparsifier {
  const scratch = deltaBlock();
  let gate: BandGate | undefined;
  return {
    begin({ base, data }) {
      const { first, kept } = bandOf(base.length);
      if (kept === 0 || base.length === 0) {
        gate = undefined;
        return;
      }
      const [upper, lower] =
        first === 0
          ? [undefined, rank.ofDelta(scratch, base, data, [kept - 1])[0]]
          : rank.ofDelta(scratch, base, data, [first, first + kept - 1]);
      gate = new BandGate(upper, lower!, first, kept);
    },
    apply(block, _start, length) {
      if (gate) gate.apply(block, 0, length);
      else block.values.fill(0, 0, length);
    },
  };
}

/** The same along the last axis, each row for itself. */
export function keepBandOfRows(bandOf: (n: number) => Band): Sparsifier {
  let scratch = new Float32Array(0);
  let sorted = new Uint32Array(0);
  let delta: Delta | undefined;
  let row = -1;
  let gate: BandGate | undefined;
  const select = (current: Delta) => {
    const { base, data, rowLength } = current;
    const offset = row * rowLength;
    for (let j = 0; j < rowLength; j++) scratch[j] = data[offset + j]! - base[offset + j]!;
    const bits = new Uint32Array(scratch.buffer);
    const ranked = (rank: number): RankedMagnitude => {
      for (let j = 0; j < rowLength; j++) sorted[j] = bits[j]! & MAGNITUDE;
      // Counting over 2^16 bins would cost more than the row.
      const value = rankedValue(sorted.subarray(0, rowLength), rank);
      let larger = 0;
      for (let j = 0; j < rowLength; j++) if ((bits[j]! & MAGNITUDE) > value) larger += 1;
      return { bits: value, larger };
    };
    const { first, kept } = bandOf(rowLength);
    gate =
      kept === 0
        ? undefined
        : new BandGate(first === 0 ? undefined : ranked(first), ranked(first + kept - 1), first, kept);
  };
  return {
    begin(given) {
      delta = given;
      row = -1;
      if (scratch.length >= given.rowLength) return;
      scratch = new Float32Array(given.rowLength);
      sorted = new Uint32Array(given.rowLength);
    },
    apply(block, start, length) {
      const current = delta!;
      for (let j = 0; j < length;) {
        const at = Math.floor((start + j) / current.rowLength);
        if (at !== row) {
          row = at;
          select(current);
        }
        const end = Math.min(length, (row + 1) * current.rowLength - start);
        if (gate) gate.apply(block, j, end);
        else block.values.fill(0, j, end);
        j = end;
      }
    },
  };
}

/** Drops each element with the same chance, by a mask of seed, tensor, parent and position alone. */
export function keepRandom(density: number, seed: number): Sparsifier {
  const limit = density * 2 ** 32;
  let key: CounterKey = { first: 0, second: 0 };
  return {
    begin: ({ tensor, parent }) => {
      key = counterKey(seed, tensor, parent);
    },
    apply({ values }, start, length) {
      for (let j = 0; j < length; j++) if (counterRandom(key, start + j) >= limit) values[j] = 0;
    },
  };
}

/** What multiplies the kept part: 1, the inverse of the density, or what restores the L1 norm. */
export type Rescale = 'none' | 'expectation' | 'l1';

/**
 * The factor of one difference. Restoring the L1 norm takes a pass of its own; nothing is rescaled when either norm is below
 * 1e-7, as in mergekit. Afterwards the sparsifier stands at its beginning.
 */
export function rescaleFactor(
  rescale: Rescale,
  density: number,
  sparsifier: Sparsifier,
  delta: Delta,
): number {
  sparsifier.begin(delta);
  if (density >= 1 || density <= 0 || rescale === 'none') return 1;
  if (rescale === 'expectation') return 1 / density;
  const block = deltaBlock();
  let before = 0;
  let after = 0;
  for (let start = 0; start < delta.base.length; start += BLOCK) {
    const length = fillDelta(block, delta.base, delta.data, start);
    before += absoluteSum(block, length);
    sparsifier.apply(block, start, length);
    after += absoluteSum(block, length);
  }
  sparsifier.begin(delta);
  return before < 1e-7 || after < 1e-7 ? 1 : before / after;
}

function absoluteSum({ values }: DeltaBlock, length: number): number {
  let sum = 0;
  for (let j = 0; j < length; j++) sum += Math.abs(values[j]!);
  return sum;
}

/** Lets a band pass; counts ties at its two ends so that it keeps exactly as many as it should. */
class BandGate {
  private readonly upperBits: number;
  private readonly lowerBits: number;
  /** Ties at the upper end that still go. */
  private upperDropped: number;
  /** Ties at the lower end that still stay. */
  private lowerKept: number;

  constructor(upper: RankedMagnitude | undefined, lower: RankedMagnitude, first: number, kept: number) {
    this.upperBits = upper?.bits ?? -1;
    this.upperDropped = upper ? first - upper.larger : 0;
    this.lowerBits = lower.bits;
    this.lowerKept = first + kept - lower.larger;
  }

  apply({ values, bits }: DeltaBlock, from: number, to: number): void {
    const { lowerBits } = this;
    const upperBits = this.upperBits < 0 ? MAGNITUDE : this.upperBits;
    for (let j = from; j < to; j++) {
      const magnitude = bits[j]! & MAGNITUDE;
      if (magnitude > lowerBits && magnitude < upperBits) continue;
      if (!this.isKeptTie(magnitude)) values[j] = 0;
    }
  }

  private isKeptTie(magnitude: number): boolean {
    const isLower = magnitude === this.lowerBits;
    // Where both ends fall on one value, it is counted off from both.
    const stays = isLower && this.lowerKept-- > 0;
    if (magnitude !== this.upperBits) return stays;
    if (this.upperDropped-- > 0) return false;
    return isLower ? stays : true;
  }
}
