import type { ExpertManifest } from '@thalamus/bundle';
import type { SubmitOptions } from '@thalamus/inference';
import type { Tensor } from '@thalamus/tensor';

/** Answer to one batch of texts or tensors. */
export interface ExpertAnswer {
  /** Outputs by name. */
  readonly outputs: ReadonlyMap<string, Tensor>;
  /** Labels of the `scores` output, in order, for classifiers. */
  readonly labels?: readonly string[];
  /** Tokens over all texts; 0 for raw tensors. */
  readonly promptTokens: number;
  /** Whether any text was cut. */
  readonly truncated: boolean;
  /** Size of the largest batch that a part of it ran in. */
  readonly batchSize: number;
}

/** A name, OIP datatype and shape (-1 varies). */
export interface ExpertValue {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
}

/** A version that is loaded and can answer. */
export interface ServedExpert {
  readonly manifest: ExpertManifest;
  readonly inputs: readonly ExpertValue[];
  readonly outputs: readonly ExpertValue[];
  /** Bytes of weights that it needs. */
  readonly memoryBytes: number;
  /** Those of them that it shares with nobody. */
  readonly ownBytes: number;
  /** @throws TENSOR_INVALID, EXPERT_OVERLOADED, DEADLINE_EXCEEDED, CANCELLED, EXPERT_CRASHED */
  infer(inputs: ReadonlyMap<string, Tensor>, options: SubmitOptions): Promise<ExpertAnswer>;
  /** Lets go of what it holds. */
  release(): Promise<void>;
}
