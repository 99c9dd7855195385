import {
  BLOCK,
  deltaBlock,
  fillDelta,
  MAGNITUDE,
  MagnitudeRank,
  WHOLE_KEY,
  type DeltaBlock,
} from './magnitude-rank.js';
import type { ModelPass, TensorGroup } from './static-method.js';

/** From which value on a parameter of one parent counts as won, and how far the most won one lies above. */
export interface Competition {
  readonly threshold: number;
  readonly range: number;
}

/** What passes have found of one parent. */
interface Found {
  /** Magnitudes are clamped to these: the tails of the task vector. */
  low: number;
  high: number;
  /** Largest competition value. */
  largest: number;
  threshold: number;
  /** One counter for each end of the tails; the first serves for competition values later. */
  lowRank: MagnitudeRank;
  highRank: MagnitudeRank;
}

/**
 * Quantiles that PCB needs of the whole model, and its competition values block by block. Passes: upper and lower bits of
 * magnitudes, then of competition values, which are float32. 1 MiB of counts a parent.
 */
export class PcbStatistics implements ModelPass {
  /** Task vectors of the block that was filled, magnitudes clamped at the tails; float64 [parents, BLOCK]. */
  readonly clamped: Float64Array;
  /** Their competition values, rounded to float32. */
  readonly won: Float64Array;
  private readonly total = new Float64Array(BLOCK);
  private readonly block = deltaBlock();
  private readonly found: readonly Found[];
  private elements = 0;
  private pass = 0;

  constructor(
    private readonly parents: number,
    private readonly density: number,
    private readonly tail: number,
  ) {
    this.clamped = new Float64Array(parents * BLOCK);
    this.won = new Float64Array(parents * BLOCK);
    this.found = Array.from({ length: parents }, () => ({
      low: 0,
      high: 0,
      largest: -Infinity,
      threshold: 0,
      lowRank: new MagnitudeRank(),
      highRank: new MagnitudeRank(),
    }));
  }

  observe(group: TensorGroup): void {
    const base = group.base!;
    if (this.pass === 0) this.elements += base.length;
    for (let start = 0; start < base.length; start += BLOCK) {
      if (this.pass < 2) this.countMagnitudes(group, start);
      else this.countCompetition(group, start);
    }
  }

  endPass(): boolean {
    const n = this.elements;
    // Places in ascending order as the authors' script rounds them, turned into descending ranks.
    const low = n - 1 - Math.trunc(n * this.tail);
    const high = n - 1 - Math.max(0, Math.trunc(n * (1 - this.tail) - 1));
    const drop = n - 1 - Math.min(n - 1, Math.trunc(n * (1 - this.density)));
    for (const found of this.found) this.endPassOf(found, { low, high, drop });
    return ++this.pass === 4;
  }

  /** Known after the last pass. */
  competition(parent: number): Competition {
    const { threshold, largest } = this.found[parent]!;
    return { threshold, range: largest - threshold };
  }

  /** Computes `clamped` and `won` of one block; returns how many elements it holds. */
  fill({ base, parents }: TensorGroup, start: number): number {
    const { total, clamped, won, block, found } = this;
    const length = Math.min(BLOCK, base!.length - start);
    total.fill(0, 0, length);
    for (let index = 0; index < parents.length; index++) {
      fillDelta(block, base!, parents[index]!.data, start);
      for (let j = 0; j < length; j++) {
        clamped[index * BLOCK + j] = block.values[j]!;
        total[j]! += block.values[j]!;
      }
    }
    for (let index = 0; index < parents.length; index++) {
      const offset = index * BLOCK;
      const { low, high } = found[index]!;
      const range = high - low || 1;
      for (let j = 0; j < length; j++) {
        const tau = clamped[offset + j]!;
        const magnitude = Math.min(high, Math.max(low, Math.abs(tau)));
        const intra = (magnitude - low) / range;
        const inter = Math.tanh(tau * total[j]!);
        won[offset + j] = Math.fround(Math.exp(this.parents * intra * intra) * inter);
        clamped[offset + j] = Math.sign(tau) * magnitude;
      }
    }
    return length;
  }

  private countMagnitudes({ base, parents }: TensorGroup, start: number): void {
    parents.forEach(({ data }, index) => {
      const length = fillDelta(this.block, base!, data, start);
      const { lowRank, highRank } = this.found[index]!;
      for (const rank of [lowRank, highRank]) {
        if (this.pass === 0) rank.countUpper(this.block, length);
        else rank.countLower(this.block, length);
      }
    });
  }

  private countCompetition(group: TensorGroup, start: number): void {
    const length = this.fill(group, start);
    this.found.forEach((found, index) => {
      const { values } = this.block;
      for (let j = 0; j < length; j++) {
        const value = this.won[index * BLOCK + j]!;
        values[j] = value;
        if (value > found.largest) found.largest = value;
      }
      orderBits(this.block, length);
      if (this.pass === 2) found.lowRank.countUpper(this.block, length);
      else found.lowRank.countLower(this.block, length);
    });
  }

  private endPassOf(found: Found, ranks: { low: number; high: number; drop: number }): void {
    if (this.pass === 0) {
      found.lowRank.chooseBin(ranks.low);
      found.highRank.chooseBin(ranks.high);
    } else if (this.pass === 1) {
      found.low = floatOf(found.lowRank.ranked(ranks.low).bits);
      found.high = floatOf(found.highRank.ranked(ranks.high).bits);
      found.lowRank = new MagnitudeRank(WHOLE_KEY);
    } else if (this.pass === 2) found.lowRank.chooseBin(ranks.drop);
    else {
      const key = found.lowRank.ranked(ranks.drop).bits;
      found.threshold = floatOf((key & ~MAGNITUDE) !== 0 ? key & MAGNITUDE : ~key);
    }
  }
}

/** Replaces float32 bits by keys that order as the numbers do, negative ones too. */
function orderBits({ bits }: DeltaBlock, length: number): void {
  for (let j = 0; j < length; j++) {
    const given = bits[j]!;
    bits[j] = (given & ~MAGNITUDE) !== 0 ? ~given : given | ~MAGNITUDE;
  }
}

function floatOf(bits: number): number {
  return new Float32Array(Uint32Array.of(bits).buffer)[0]!;
}
