import type { ExpertManifest } from '@thalamus/bundle';
import type { SubmitOptions } from '@thalamus/inference';
import type { Tensor } from '@thalamus/tensor';
import type { ParameterSpecs, ParameterValues } from '../domain/oip-parameters.js';
import type { InferenceMeter } from './inference-meter.js';

/** What is said of the run of one text. */
export interface TextFacts {
  readonly tokenCount: number;
  readonly truncated: boolean;
  readonly batchSize: number;
}

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

/** What comes with a request besides its tensors. */
export interface InferOptions extends SubmitOptions {
  /** Those of the expert's own parameters that were given. */
  readonly parameters: ParameterValues;
}

/** A version that is loaded and can answer. */
export interface ServedExpert {
  readonly manifest: ExpertManifest;
  readonly inputs: readonly ExpertValue[];
  readonly outputs: readonly ExpertValue[];
  /** Parameters of a request that it takes. */
  readonly parameters: ParameterSpecs;
  readonly meter: InferenceMeter;
  /** Bytes of weights that it needs. */
  readonly memoryBytes: number;
  /** Those of them that it shares with nobody. */
  readonly ownBytes: number;
  /** @throws TENSOR_INVALID, EXPERT_OVERLOADED, DEADLINE_EXCEEDED, CANCELLED, EXPERT_CRASHED */
  infer(inputs: ReadonlyMap<string, Tensor>, options: InferOptions): Promise<ExpertAnswer>;
  /** Lets go of what it holds. */
  release(): Promise<void>;
}

/** Facts of a request from those of its texts. */
export function facts(
  answers: readonly TextFacts[],
): Pick<ExpertAnswer, 'promptTokens' | 'truncated' | 'batchSize'> {
  return {
    promptTokens: answers.reduce((sum, answer) => sum + answer.tokenCount, 0),
    truncated: answers.some((answer) => answer.truncated),
    batchSize: Math.max(...answers.map((answer) => answer.batchSize)),
  };
}
