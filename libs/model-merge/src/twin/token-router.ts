/**
 * A router inside a composed graph: one logit for each parent, from token tables and, where the encoder is run twice, from the
 * vector of the shared expert as well.
 *
 * logit = bias + sum words[id] / sqrt(n) + sum pairs[bucket(id, next)] / sqrt(n) + sum means[id] / n + vector · rows.
 * The third term is a linear layer on the mean token embedding, folded into a table: (1/n sum E[id]) D = 1/n sum (E D)[id].
 */
export interface TokenRouter {
  readonly parents: number;
  readonly vocabulary: number;
  /** Places for pairs of neighbouring tokens; several pairs may share one. */
  readonly buckets: number;
  /** float32 [vocabulary, parents] */
  readonly words: Float32Array;
  /** float32 [vocabulary, parents] */
  readonly means: Float32Array;
  /** float32 [buckets, parents] */
  readonly pairs: Float32Array;
  /** float32 [parents] */
  readonly bias: Float32Array;
  /** float32 [width, parents]: weights of the shared expert's vector; absent where the encoder is run once. */
  readonly vector?: Float32Array | undefined;
  /** Logits are multiplied by it: the inverse of a temperature. */
  readonly sharpness: number;
}

/** Factors of the hash of a pair; primes, so that neighbours spread. */
export const PAIR_FACTORS = { first: 31_337, second: 7_919 } as const;

/** Place of a pair of neighbouring tokens. */
export function pairBucket(first: number, second: number, buckets: number): number {
  return (first * PAIR_FACTORS.first + second * PAIR_FACTORS.second) % buckets;
}

/** Logits [parents] of token ids, special ones included; `vector` float32 [width] where the router reads one. */
export function routerLogits(
  router: TokenRouter,
  ids: ArrayLike<number>,
  vector?: Float32Array,
): Float64Array {
  const { parents, buckets, words, means, pairs, bias, sharpness } = router;
  const n = Math.max(1, ids.length);
  const root = 1 / Math.sqrt(n);
  const logits = Float64Array.from(bias);
  for (let at = 0; at < ids.length; at++) {
    const row = ids[at]! * parents;
    const pair = at + 1 < ids.length ? pairBucket(ids[at]!, ids[at + 1]!, buckets) * parents : -1;
    for (let k = 0; k < parents; k++) {
      logits[k]! += root * words[row + k]! + means[row + k]! / n;
      if (pair >= 0) logits[k]! += root * pairs[pair + k]!;
    }
  }
  if (router.vector && vector)
    for (let i = 0; i < vector.length; i++)
      for (let k = 0; k < parents; k++) logits[k]! += vector[i]! * router.vector[i * parents + k]!;
  return logits.map((logit) => sharpness * logit);
}

/** Softmax of logits, in place. */
export function softmaxInPlace(logits: Float64Array): Float64Array {
  const largest = Math.max(...logits);
  let sum = 0;
  for (let k = 0; k < logits.length; k++) sum += logits[k] = Math.exp(logits[k]! - largest);
  for (let k = 0; k < logits.length; k++) logits[k]! /= sum;
  return logits;
}
