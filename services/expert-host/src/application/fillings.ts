import { largest, logSumExp } from '@thalamus/tensor';

/** The best tokens for one masked place, best first. */
export interface Filling {
  readonly tokens: readonly number[];
  /** Probabilities over the whole vocabulary. */
  readonly scores: readonly number[];
}

/** The `count` tokens of the highest probability; of equal ones those of the smaller id come first. */
export function bestTokens(logits: Float32Array, count: number): Filling {
  const tokens = largest(logits, count);
  const all = logSumExp(Float64Array.from(logits));
  return { tokens, scores: tokens.map((token) => Math.exp((logits[token] ?? -Infinity) - all)) };
}
