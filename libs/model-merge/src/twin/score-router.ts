import { routerLogits, softmaxInPlace, type TokenRouter } from './token-router.js';

/** A text that belongs to a parent. */
export interface RouterRow {
  /** Token ids, special ones included. */
  readonly ids: readonly number[];
  /** Index of its parent. */
  readonly parent: number;
  /** float32 [width]: vector of the shared expert, where the router reads one. */
  readonly vector?: Float32Array | undefined;
}

/** How a router does on rows that it was not fitted to. */
export interface RouterScore {
  /** Mean over the parents of the share of their rows that it gives to them. */
  readonly accuracy: number;
  /** The share of each parent; NaN for one without rows. */
  readonly byParent: readonly number[];
  /** Mean cross-entropy of a row's parent, nats, each parent's rows counting alike. */
  readonly logLoss: number;
}

/** Sharpnesses that are tried on the validation rows. With the least, a router that learned nothing is about as good as even weights. */
const SHARPNESSES = [0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.85, 1, 1.2, 1.5, 2, 2.5, 3];

/** @see RouterScore */
export function scoreRouter(router: TokenRouter, rows: readonly RouterRow[]): RouterScore {
  const logits = rows.map(({ ids, vector }) => routerLogits(router, ids, vector));
  return scoreLogits(logits, rows, router.parents);
}

function scoreLogits(
  logits: readonly Float64Array[],
  rows: readonly RouterRow[],
  parents: number,
): RouterScore {
  const [right, count, loss] = [0, 1, 2].map(() => new Float64Array(parents)) as [
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  rows.forEach(({ parent }, at) => {
    const weights = softmaxInPlace(logits[at]!.slice());
    count[parent]! += 1;
    loss[parent]! -= Math.log(Math.max(weights[parent]!, 1e-12));
    if (weights.every((weight, k) => k === parent || weight < weights[parent]!)) right[parent]! += 1;
  });
  const seen = [...count.keys()].filter((parent) => count[parent]! > 0);
  const mean = (of: Float64Array) =>
    seen.reduce((sum, parent) => sum + of[parent]! / count[parent]!, 0) / seen.length;
  return {
    accuracy: mean(right),
    byParent: Array.from(right, (value, parent) => value / count[parent]!),
    logLoss: mean(loss),
  };
}

/** A router of sharpness 1 with the sharpness of the least loss on the validation rows, and its score on them. */
export function sharpened(
  router: TokenRouter,
  validation: readonly RouterRow[],
): { readonly router: TokenRouter; readonly score: RouterScore } {
  const logits = validation.map(({ ids, vector }) => routerLogits(router, ids, vector));
  const tried = SHARPNESSES.map((sharpness) => {
    const sharp = logits.map((row) => row.map((logit) => sharpness * logit));
    return { router: { ...router, sharpness }, score: scoreLogits(sharp, validation, router.parents) };
  });
  return tried.reduce((best, each) => (each.score.logLoss < best.score.logLoss ? each : best));
}
