import type { GatheredBranch } from '@thalamus/onnx-graph';

/** Graphs that are made from that of a base, and what else their making tells. */
export interface DerivedFacts {
  /** The encoder with a branch beside each linear layer. */
  readonly branches: { readonly branches: readonly GatheredBranch[] };
  /** The graph of masked-LM heads, and the sizes that they must have. */
  readonly 'masked-lm-heads': { readonly hidden: number; readonly vocabulary: number };
}

/** One of them. */
export type Derivation = keyof DerivedFacts;

/** What is to be derived, from which bundle, and the file that the graph is written to. */
export interface DerivingTask {
  readonly what: Derivation;
  readonly bundleFolder: string;
  readonly path: string;
}

/** Facts of a graph that was written, with the identity of its file. */
export interface WrittenGraph<K extends Derivation = Derivation> {
  readonly facts: DerivedFacts[K];
  readonly sizeBytes: number;
  /** 64 lower-case hex digits. */
  readonly sha256: string;
}

/** Makes and writes a graph, out of the way of requests. */
export interface GraphDeriver {
  /** @throws GRAPH_INVALID for a base that it cannot be made from, BUNDLE_INVALID, ARTIFACT_STORE_FULL, EXPERT_CRASHED */
  derive<K extends Derivation>(task: DerivingTask & { readonly what: K }): Promise<WrittenGraph<K>>;
}
