/** loss = W e + b. Tensors `heads.weight` [candidates, dimension] and `heads.bias` [candidates] of the head file. */
export interface LinearLossHeads {
  readonly kind: 'linear';
  /** Width of the embedding. */
  readonly dimension: number;
  /** Row-major [candidates, dimension], in the order of the manifest's candidates. */
  readonly weights: Float32Array;
  /** [candidates], in the loss unit of the router model. */
  readonly bias: Float32Array;
}

/**
 * loss = W2 relu(W1 e + b1) + b2. Tensors `heads.hidden.weight` [hidden, dimension], `heads.hidden.bias` [hidden],
 * `heads.weight` [candidates, hidden] and `heads.bias` [candidates] of the head file.
 */
export interface MlpLossHeads {
  readonly kind: 'mlp';
  /** Width of the embedding. */
  readonly dimension: number;
  /** Row-major [hidden, dimension]. */
  readonly hiddenWeights: Float32Array;
  /** [hidden]. */
  readonly hiddenBias: Float32Array;
  /** Row-major [candidates, hidden]. */
  readonly weights: Float32Array;
  /** [candidates], in the loss unit of the router model. */
  readonly bias: Float32Array;
}

/**
 * loss = W [softmax(G e + c), e] + b: a gate guesses which candidate is best, and the losses follow from that guess and
 * from the embedding. Tensors `heads.gate.weight` [gates, dimension], `heads.gate.bias` [gates], `heads.weight`
 * [candidates, gates + dimension] and `heads.bias` [candidates] of the head file.
 */
export interface GatedLossHeads {
  readonly kind: 'gated';
  /** Width of the embedding. */
  readonly dimension: number;
  /** Row-major [gates, dimension]. */
  readonly gateWeights: Float32Array;
  /** [gates]. */
  readonly gateBias: Float32Array;
  /** Row-major [candidates, gates + dimension]. */
  readonly weights: Float32Array;
  /** [candidates], in the loss unit of the router model. */
  readonly bias: Float32Array;
}

/**
 * Mean loss of the `neighbours` nearest rows, a neighbour weighed by exp(cosine / temperature). Both sides are first mapped
 * by P. Tensors `heads.projection` [projected, dimension], `heads.keys` [rows, projected] of length 1 and `heads.values`
 * [rows, candidates] of the head file.
 */
export interface NearestLossHeads {
  readonly kind: 'nearest';
  /** Width of the embedding. */
  readonly dimension: number;
  /** Row-major [projected, dimension]. */
  readonly projection: Float32Array;
  readonly projected: number;
  /** Row-major [rows, projected], each of length 1. */
  readonly keys: Float32Array;
  /** Row-major [rows, candidates], in the loss unit of the router model. */
  readonly values: Float32Array;
  readonly candidates: number;
  readonly neighbours: number;
  readonly temperature: number;
}

/** Weighed mean of other heads. Tensors of part i begin with `heads.i.` instead of `heads.`. */
export interface AverageLossHeads {
  readonly kind: 'average';
  /** Width of the embedding. */
  readonly dimension: number;
  readonly parts: readonly { readonly share: number; readonly heads: SingleLossHeads }[];
}

/** Heads that are no average of others. */
export type SingleLossHeads = LinearLossHeads | MlpLossHeads | GatedLossHeads | NearestLossHeads;

/** Heads of a router model. */
export type LossHeads = SingleLossHeads | AverageLossHeads;
