import type { LowRankFactors } from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import type { Weights } from '@thalamus/onnx-graph';
import { truncatedSvd } from '@thalamus/tensor';

/** What is taken out of tuned weights. */
export interface ExtractionOptions {
  /** At most the smaller side of every layer. */
  readonly rank: number;
  /** Chooses the random directions of the decomposition. */
  readonly seed: number;
}

/**
 * What the linear layers of an encoder changed by, as factors of a given rank whose scale is 1: U S V^T of tuned - base becomes
 * B = U sqrt(S) and A = sqrt(S) V^T, so that both have values of one size. Weights are [out, in], named `encoder.*.weight`.
 * Changes of biases, norms and embeddings are dropped: factors have no place for them.
 * @throws CONFIG_INVALID for a rank that is too large, TENSOR_INVALID for a change that is not finite
 */
export async function extractLowRank(
  base: Weights,
  tuned: Weights,
  { rank, seed }: ExtractionOptions,
): Promise<readonly LowRankFactors[]> {
  requireExtractable(base, rank);
  const result: LowRankFactors[] = [];
  for (const { name, layer, inputs, outputs } of linearLayers(base)) {
    const before = base.get(name)!.data;
    const change = Float64Array.from(tuned.get(name)!.data, (value, at) => value - before[at]!);
    const { u, s, v } = await truncatedSvd({ rows: outputs, columns: inputs, data: change }, rank, { seed });
    const roots = s.map(Math.sqrt);
    const b = Float32Array.from(u, (value, at) => value * roots[at % rank]!);
    const a = new Float32Array(rank * inputs);
    for (let k = 0; k < rank; k++)
      for (let i = 0; i < inputs; i++) a[k * inputs + i] = v[i * rank + k]! * roots[k]!;
    result.push({ layer, a, b, rank, inputs, outputs });
  }
  return result;
}

/** @throws CONFIG_INVALID when a linear layer has no factors of this rank */
export function requireExtractable(base: Weights, rank: number): void {
  for (const { name, inputs, outputs } of linearLayers(base))
    if (rank > Math.min(inputs, outputs))
      throw new ThalamusError(
        'CONFIG_INVALID',
        `Rank ${rank} is more than ${name} [${outputs}, ${inputs}] has; choose at most ${Math.min(inputs, outputs)}.`,
      );
}

function linearLayers(weights: Weights) {
  return [...weights]
    .filter(([name, { shape }]) => /^encoder\..*\.weight$/.test(name) && shape.length === 2)
    .map(
      ([
        name,
        {
          shape: [outputs = 0, inputs = 0],
        },
      ]) => ({
        name,
        layer: name.slice(0, -'.weight'.length),
        inputs,
        outputs,
      }),
    );
}
