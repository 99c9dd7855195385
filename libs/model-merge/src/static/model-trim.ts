import { BLOCK, deltaBlock, fillDelta, MagnitudeRank } from './magnitude-rank.js';
import type { ModelPass, TensorGroup } from './static-method.js';

/**
 * Thresholds of TIES' trim over the whole model: one for each parent, so that the largest share of its task vector stays.
 * Two passes; 512 KiB a parent. Of equal magnitudes at the threshold all stay, so that the order of tensors does not matter.
 */
export class ModelTrim implements ModelPass {
  /** Bits of float32 magnitudes; known after the second pass. */
  thresholds: readonly number[] = [];
  private readonly ranks: readonly MagnitudeRank[];
  private readonly block = deltaBlock();
  private elements = 0;
  private pass = 0;

  constructor(private readonly densities: readonly number[]) {
    this.ranks = densities.map(() => new MagnitudeRank());
  }

  observe({ base, parents }: TensorGroup): void {
    if (this.pass === 0) this.elements += base!.length;
    parents.forEach(({ data }, index) => {
      const rank = this.ranks[index]!;
      for (let start = 0; start < data.length; start += BLOCK) {
        const length = fillDelta(this.block, base!, data, start);
        if (this.pass === 0) rank.countUpper(this.block, length);
        else rank.countLower(this.block, length);
      }
    });
  }

  endPass(): boolean {
    const last = this.densities.map((density) => Math.max(1, Math.trunc(density * this.elements)) - 1);
    if (this.pass++ === 0) {
      this.ranks.forEach((rank, index) => rank.chooseBin(last[index]!));
      return false;
    }
    this.thresholds = this.ranks.map((rank, index) => rank.ranked(last[index]!).bits);
    return true;
  }
}
