import type { Mixture } from '@thalamus/onnx-graph';

/**
 * Multiplications and additions a token of the branches that a text runs through, `top` parents of all. A product with factors of
 * rank r counts 2 r (rows + columns); of a table of embeddings one row of the left factor is looked up, and the right one multiplied.
 */
export function branchFlops(mixture: Mixture | undefined, top: number | undefined): number {
  if (!mixture) return 0;
  let flops = 0;
  for (const [name, changes] of mixture.matrices) {
    const isTable = name.startsWith('embeddings.');
    const sizes = changes.map(({ rank, left, right }) => 2 * ((isTable ? rank : left.length) + right.length));
    const largest = sizes.sort((a, b) => b - a).slice(0, top ?? sizes.length);
    flops += largest.reduce((sum, size) => sum + size, 0);
  }
  return flops;
}
