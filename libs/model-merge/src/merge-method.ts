import { ThalamusError, type FieldViolation } from '@thalamus/errors';
import type { OnnxModel } from '@thalamus/onnx-graph';
import { z } from 'zod';

/** A number that a method takes. */
export interface MergeParameter {
  readonly name: string;
  /** What it does, with its unit. */
  readonly description: string;
  readonly defaultValue: number;
  readonly minimum: number;
  readonly maximum: number;
  /** True when only whole numbers make sense. */
  readonly isWhole: boolean;
}

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

/** A way of making one expert of several. */
export interface MergeMethod {
  /** Name in recipes. */
  readonly name: string;
  /** Paper and section. */
  readonly reference: string;
  /** Kinds of expert that can be parents. */
  readonly parentKinds: readonly string[];
  /** Fewest parents that a recipe may name. */
  readonly minParents: number;
  /** Most parents that a recipe may name. */
  readonly maxParents: number;
  /** Whether parents may carry weights. */
  readonly takesWeights: boolean;
  readonly parameters: readonly MergeParameter[];
  /** Builds the graph. @throws COMPOSITION_REFUSED, GRAPH_INVALID */
  readonly merge: (input: MergeInput) => MergedGraph;
}

/** Values of a method's parameters by name, defaults filled in. */
export type MergeParameters = Readonly<Record<string, number>>;

/**
 * Checks the parameters of a recipe and fills in defaults.
 * @throws REQUEST_INVALID that names every parameter that is unknown, not finite, out of range or not whole
 */
export function parseMergeParameters(
  method: MergeMethod,
  given: Readonly<Record<string, number>>,
): MergeParameters {
  const shape = Object.fromEntries(
    method.parameters.map((parameter) => [
      parameter.name,
      schemaOf(parameter).default(parameter.defaultValue),
    ]),
  );
  const parsed = z.strictObject(shape).safeParse(given);
  if (parsed.success) return parsed.data;
  const violations = parsed.error.issues.flatMap((issue): FieldViolation[] =>
    issue.code === 'unrecognized_keys'
      ? issue.keys.map((key) => ({
          field: `recipe.parameters.${key}`,
          description: `is unknown; ${method.name} takes ${method.parameters.map(({ name }) => name).join(', ') || 'none'}`,
        }))
      : [{ field: `recipe.parameters.${issue.path.join('.')}`, description: issue.message }],
  );
  const list = violations.map(({ field, description }) => `${field} ${description}`).join('; ');
  throw new ThalamusError('REQUEST_INVALID', `The recipe is not valid: ${list}.`, { violations });
}

function schemaOf({ minimum, maximum, isWhole }: MergeParameter): z.ZodNumber {
  const range = `must be ${minimum} to ${maximum}`;
  const schema = z.number(range).min(minimum, range).max(maximum, range);
  return isWhole ? schema.int('must be a whole number') : schema;
}
