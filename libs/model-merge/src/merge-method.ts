import type { OnnxModel } from '@thalamus/onnx-graph';

/** A linear layer: outputs = weights · input + bias. */
export interface LinearLayer {
  /** float32 [outputs, width], row-major. */
  readonly weights: Float32Array;
  /** float32 [outputs] */
  readonly bias: Float32Array;
}

/** Factors of the branch of one linear layer, in PEFT's layout. */
export interface LayerFactors {
  /** Name of the layer without `.weight`. */
  readonly layer: string;
  readonly rank: number;
  readonly inputs: number;
  readonly outputs: number;
  /** float32 [rank, in] */
  readonly a: Float32Array;
  /** float32 [out, rank] */
  readonly b: Float32Array;
}

/** What a low-rank parent adds to linear layers of the base: y = x W + b + scale (x A) B. */
export interface LowRankBranches {
  /** One entry for each layer that changes. */
  readonly factors: readonly LayerFactors[];
  /** alpha / rank */
  readonly scale: number;
}

/** A parent with a head of its own on the shared base, and branches beside its layers or none. */
export interface MergeParent {
  /** Name of the expert; unique among the parents. */
  readonly name: string;
  /** Labels in the order of the head's outputs. */
  readonly labels: readonly string[];
  readonly head: LinearLayer;
  /** Its row of the router: one output, the logit of its weight. */
  readonly router: LinearLayer;
  /** Absent for a probe. */
  readonly branches?: LowRankBranches | undefined;
}

/** What a method makes one graph of. */
export interface MergeInput {
  /**
   * Inputs `input_ids` and `attention_mask`, output `embedding` float32 [batch, width]. With low-rank parents, an encoder
   * that `buildBertEncoder` made.
   */
  readonly base: OnnxModel;
  /** One or more; their order does not matter. */
  readonly parents: readonly MergeParent[];
}

/** One self-contained graph. */
export interface MergedGraph {
  readonly model: OnnxModel;
  /** Names of the parents in the order of the graph's router weights: sorted. */
  readonly parents: readonly string[];
  /** Labels in the order of the graph's `scores`. */
  readonly labels: readonly string[];
}
