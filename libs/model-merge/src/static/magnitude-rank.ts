/**
 * Selection by magnitude without sorting. For float32, |x| orders as the bits of x without the sign; a histogram of the upper
 * 16 bits finds the bin of a rank, a second one of the lower 16 inside that bin finds the value exactly. Two passes of O(n)
 * whatever the data, no copy of it, 512 KiB of counts.
 */

const LOW_BITS = 16;
const LOW_MASK = 0xffff;

/** Bits of a float32 without its sign. */
export const MAGNITUDE = 0x7fffffff;
/** All bits, for keys that are ordered as they are. */
export const WHOLE_KEY = 0xffffffff;

/** An element of a descending order of magnitudes. */
export interface RankedMagnitude {
  /** Its key: for magnitudes the bits of the float32 without the sign. Compare as whole numbers. */
  readonly bits: number;
  /** How many elements are larger; equal ones come in the order of their index. */
  readonly larger: number;
}

/** Elements of a difference, a block at a time, as bits of float32 magnitudes. */
export interface DeltaBlock {
  readonly values: Float32Array;
  readonly bits: Uint32Array;
}

/** How many elements are worked on at a time: small enough for the first cache. */
export const BLOCK = 2048;

/** Scratch for one block of a difference. */
export function deltaBlock(): DeltaBlock {
  const values = new Float32Array(BLOCK);
  return { values, bits: new Uint32Array(values.buffer) };
}

/** Fills a block with parent - base from `start`, rounded to float32; returns how many elements it holds. */
export function fillDelta(
  { values }: DeltaBlock,
  base: Float32Array,
  parent: Float32Array,
  start: number,
): number {
  const length = Math.min(BLOCK, base.length - start);
  for (let j = 0; j < length; j++) values[j] = parent[start + j]! - base[start + j]!;
  return length;
}

/** Counts keys to find the one of a given rank; fed block by block, twice over the same elements. */
export class MagnitudeRank {
  private readonly upper = new Uint32Array(1 << 16);
  private readonly lower = new Uint32Array(1 << LOW_BITS);
  private bin = 0;
  private largerThanBin = 0;

  /** `mask` is put over the bits of each element before they are compared. */
  constructor(private readonly mask = MAGNITUDE) {}

  /** Forgets everything. */
  reset(): void {
    this.upper.fill(0);
    this.lower.fill(0);
  }

  /** First pass. */
  countUpper({ bits }: DeltaBlock, length: number): void {
    const { upper, mask } = this;
    for (let j = 0; j < length; j++) upper[(bits[j]! & mask) >>> LOW_BITS]! += 1;
  }

  /** Ends the first pass: the element at `rank` (0 = the largest) of all that were counted. The second pass may be repeated. */
  chooseBin(rank: number): void {
    let larger = 0;
    let bin = this.upper.length - 1;
    while (bin > 0 && larger + this.upper[bin]! <= rank) larger += this.upper[bin--]!;
    this.bin = bin;
    this.largerThanBin = larger;
    this.lower.fill(0);
  }

  /** Second pass. */
  countLower({ bits }: DeltaBlock, length: number): void {
    const { lower, bin, mask } = this;
    for (let j = 0; j < length; j++) {
      const key = bits[j]! & mask;
      if (key >>> LOW_BITS === bin) lower[key & LOW_MASK]! += 1;
    }
  }

  /** Ends the second pass. */
  ranked(rank: number): RankedMagnitude {
    let larger = this.largerThanBin;
    let low = this.lower.length - 1;
    while (low > 0 && larger + this.lower[low]! <= rank) larger += this.lower[low--]!;
    return { bits: ((this.bin << LOW_BITS) | low) >>> 0, larger };
  }

  /** Both passes over one tensor's difference. */
  ofDelta(
    block: DeltaBlock,
    base: Float32Array,
    parent: Float32Array,
    ranks: readonly number[],
  ): readonly RankedMagnitude[] {
    this.reset();
    for (let start = 0; start < base.length; start += BLOCK)
      this.countUpper(block, fillDelta(block, base, parent, start));
    return ranks.map((rank) => {
      this.chooseBin(rank);
      for (let start = 0; start < base.length; start += BLOCK)
        this.countLower(block, fillDelta(block, base, parent, start));
      return this.ranked(rank);
    });
  }
}
