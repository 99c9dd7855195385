import { tensor, toFloat16Bits, type Tensor } from '@thalamus/tensor';
import type { GatheredBranch } from './encoder-layers.js';
import { BRANCH_INPUTS } from './gathered-branches.js';

/** Factors of one adapter in PEFT's layout: the weight [out, in] becomes W + scale B A. */
export interface BranchFactors {
  readonly scale: number;
  readonly factors: readonly {
    /** Name of the layer without `.weight`. */
    readonly layer: string;
    /** float32 [rank, in] */
    readonly a: Float32Array;
    /** float32 [out, rank] */
    readonly b: Float32Array;
    readonly rank: number;
  }[];
}

/**
 * The row of one adapter in the stacked inputs of a graph with gathered branches, without their first axis: factors
 * transposed, float16, padded with zeros to `size`; zero for layers without factors. `size` is at least the rank.
 */
export function branchRow(
  { factors, scale }: BranchFactors,
  branches: readonly GatheredBranch[],
  size: number,
): Record<string, Tensor> {
  const byLayer = new Map(factors.map((factor) => [factor.layer, factor]));
  const row: Record<string, Tensor> = {
    [BRANCH_INPUTS.scale]: tensor('float32', [1, 1], new Float32Array([scale])),
  };
  // One block for all: a large one goes back to the system when the row is gone, where many small ones would leave holes.
  let rest = new Uint16Array(
    branches.reduce((sum, { inputs, outputs }) => sum + size * (inputs + outputs), 0),
  );
  const take = (length: number) => {
    const taken = rest.subarray(0, length);
    rest = rest.subarray(length);
    return taken;
  };
  for (const { layer, down, up, inputs, outputs } of branches) {
    const a = take(inputs * size);
    const b = take(size * outputs);
    const found = byLayer.get(layer);
    if (found) {
      for (let k = 0; k < found.rank; k++) {
        for (let i = 0; i < inputs; i++) a[i * size + k] = toFloat16Bits(found.a[k * inputs + i] ?? 0);
        for (let o = 0; o < outputs; o++)
          b[k * outputs + o] = toFloat16Bits(found.b[o * found.rank + k] ?? 0);
      }
    }
    row[down] = tensor('float16', [inputs, size], a);
    row[up] = tensor('float16', [size, outputs], b);
  }
  return row;
}

/** Feeds that put every row of a batch under one adapter: its row alone in each stack. `size` is at least the rank. */
export function oneAdapterFeeds(
  adapter: BranchFactors,
  branches: readonly GatheredBranch[],
  size: number,
): Record<string, Tensor> {
  const row = Object.entries(branchRow(adapter, branches, size));
  return {
    [BRANCH_INPUTS.enabled]: tensor('bool', [], Uint8Array.of(1)),
    [BRANCH_INPUTS.row]: tensor('int32', [1], new Int32Array(1)),
    ...Object.fromEntries(row.map(([name, value]) => [name, { ...value, shape: [1, ...value.shape] }])),
  };
}
