import { BLOCK, deltaBlock, fillDelta, type DeltaBlock } from './magnitude-rank.js';
import { rescaleFactor, type Delta, type Rescale, type Sparsifier } from './sparsifiers.js';
import type { TensorGroup } from './static-method.js';

/** How the task vector of one parent enters. */
export interface TaskVector {
  /** Multiplies what is kept. */
  readonly weight: number;
  /** Share that is kept; 1 keeps all. */
  readonly density: number;
  readonly sparsifier: Sparsifier;
}

/** How task vectors become one. */
export interface TaskVectorRule {
  readonly vectors: readonly TaskVector[];
  /**
   * `sum`: all of them. `sign`: only entries that agree with the sign of the sum, which is positive where the sum is zero
   * (TIES, sections 3.2 and 3.3).
   */
  readonly consensus: 'sum' | 'sign';
  readonly rescale: Rescale;
  /** Divides by the weights: those of agreeing entries with `sign`, all with `sum`. */
  readonly normalize: boolean;
  /** Multiplies the merged task vector. */
  readonly lambda: number;
}

/** Below it a sum of weights divides nothing, as in mergekit. */
const SMALLEST_DIVISOR = 1e-8;

/** Scratch for merges of up to so many parents. */
export interface TaskVectorScratch {
  readonly block: DeltaBlock;
  /** float64 [parents, BLOCK] */
  readonly kept: Float64Array;
  /** float64 [BLOCK] each */
  readonly sum: Float64Array;
  readonly agreed: Float64Array;
  readonly divisor: Float64Array;
}

/** Scratch for merges of a number of parents. */
export function taskVectorScratch(parents: number): TaskVectorScratch {
  return {
    block: deltaBlock(),
    kept: new Float64Array(parents * BLOCK),
    sum: new Float64Array(BLOCK),
    agreed: new Float64Array(BLOCK),
    divisor: new Float64Array(BLOCK),
  };
}

/**
 * out = base + lambda * merged task vector, block by block: reads every input once, besides what a sparsifier has to look at
 * before. Differences are float32, sums float64. lambda 0 gives the bytes of the base.
 */
export function mergeTaskVectors(
  rule: TaskVectorRule,
  group: TensorGroup,
  scratch: TaskVectorScratch,
  out: Float32Array,
): void {
  const base = group.base!;
  const { vectors, lambda } = rule;
  if (lambda === 0) {
    out.set(base);
    return;
  }
  const rowLength = group.dims.at(-1) ?? 1;
  const factors = vectors.map(({ weight, density, sparsifier }, index) => {
    const { name: parent, data } = group.parents[index]!;
    const delta: Delta = { tensor: group.name, parent, base, data, rowLength };
    return weight * rescaleFactor(rule.rescale, density, sparsifier, delta);
  });
  const total = vectors.reduce((sum, { weight }) => sum + weight, 0);
  const scale = rule.normalize && rule.consensus === 'sum' ? lambda / divisorOf(total) : lambda;
  for (let start = 0; start < base.length; start += BLOCK) {
    const length = Math.min(BLOCK, base.length - start);
    scratch.sum.fill(0, 0, length);
    for (let index = 0; index < vectors.length; index++) {
      fillDelta(scratch.block, base, group.parents[index]!.data, start);
      vectors[index]!.sparsifier.apply(scratch.block, start, length);
      accumulate(scratch, index * BLOCK, factors[index]!, length);
    }
    if (rule.consensus === 'sign') keepAgreeing(rule, scratch, length);
    const { sum } = scratch;
    for (let j = 0; j < length; j++) {
      // What no parent changes keeps the bytes of the base, minus zero too.
      out[start + j] = sum[j] === 0 ? base[start + j]! : base[start + j]! + scale * sum[j]!;
    }
  }
}

function accumulate(
  { block: { values }, kept, sum }: TaskVectorScratch,
  offset: number,
  factor: number,
  length: number,
): void {
  for (let j = 0; j < length; j++) {
    const value = factor * values[j]!;
    kept[offset + j] = value;
    sum[j]! += value;
  }
}

/** Replaces sums by the sums, or weighted means, of the entries that have their sign. */
function keepAgreeing(
  { vectors, normalize }: TaskVectorRule,
  { kept, sum, agreed, divisor }: TaskVectorScratch,
  length: number,
): void {
  agreed.fill(0, 0, length);
  divisor.fill(0, 0, length);
  for (let index = 0; index < vectors.length; index++) {
    const offset = index * BLOCK;
    const { weight } = vectors[index]!;
    for (let j = 0; j < length; j++) {
      const value = kept[offset + j]!;
      // Without a branch: signs of random entries cannot be predicted.
      const agrees = sum[j]! >= 0 ? +(value > 0) : +(value < 0);
      agreed[j]! += agrees * value;
      divisor[j]! += agrees * weight;
    }
  }
  for (let j = 0; j < length; j++)
    sum[j] = normalize && divisor[j] !== 0 ? agreed[j]! / divisor[j]! : agreed[j]!;
}

function divisorOf(total: number): number {
  return Math.abs(total) < SMALLEST_DIVISOR ? 1 : total;
}
