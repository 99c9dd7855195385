import { ThalamusError } from '@thalamus/errors';
import {
  requireSameTensors,
  startStaticMerge,
  staticMethod,
  type ParametersOfTensor,
  type ParentWeights,
  type TensorGroup,
} from '@thalamus/model-merge';
import type { InformationSettings } from './information/measure-information.js';
import type { Weights } from '@thalamus/onnx-graph';
import { tensor } from '@thalamus/tensor';

/** A static merge of the weights of parents over a base. */
export interface StaticRecipe {
  /** Name in `STATIC_METHODS`. */
  readonly method: string;
  readonly parameters: ParametersOfTensor;
  /** Name of the parent that takes the place of the base, for methods between two. */
  readonly start?: string | undefined;
  /** How information is measured, for methods that weigh by it. */
  readonly information?: InformationSettings | undefined;
}

/** Of single texts there is one type, whose row the positions hold. */
const TOKEN_TYPES = 'embeddings.token_type_embeddings.weight';

/** What a merge may read besides weights. */
export interface MergeHooks {
  /** Diagonal Fisher information of a parent by tensor; for methods that ask for it. */
  readonly information?: ((parent: string) => Pick<Weights, 'get'>) | undefined;
  /** Told how many tensors have been merged; what it throws ends the work. */
  readonly onTensor?: ((done: number, total: number) => void) | undefined;
}

/**
 * Merges parents tensor by tensor. Equal input, equal bits.
 * @throws COMPOSITION_REFUSED for parents whose tensors do not fit and for what outgrows float32, REQUEST_INVALID for parameters
 */
export function mergeWeights(
  recipe: StaticRecipe,
  over: Weights,
  all: readonly ParentWeights[],
  hooks: MergeHooks = {},
): Weights {
  for (const parent of all) requireSameTensors(over, parent);
  const base = all.find(({ name }) => name === recipe.start)?.weights ?? over;
  const parents = all.filter(({ name }) => name !== recipe.start);
  const method = staticMethod(recipe.method);
  const merge = startStaticMerge(method, recipe.parameters);
  const groupOf = (name: string): TensorGroup => ({
    name,
    dims: base.get(name)!.shape,
    base: base.get(name)!.data,
    parents: parents.map(({ name: parent, weights }) => ({
      name: parent,
      data: weights.get(name)!.data,
      ...(method.needsInformation ? { information: hooks.information?.(parent).get(name)?.data } : {}),
    })),
  });
  const names = [...base.keys()].filter((name) => name !== TOKEN_TYPES);
  while (merge.needsPass) {
    for (const name of names) merge.observe(groupOf(name));
    merge.endPass();
  }
  const merged = new Map([...over].filter(([name]) => name === TOKEN_TYPES));
  names.forEach((name, at) => {
    const values = merge.merge(groupOf(name));
    requireFinite(name, values, recipe.method);
    merged.set(name, tensor('float32', base.get(name)!.shape, values));
    hooks.onTensor?.(at + 1, names.length);
  });
  return merged;
}

/** Parents are finite: what is not any more was multiplied by too much. */
function requireFinite(name: string, values: Float32Array, method: string): void {
  if (values.every(Number.isFinite)) return;
  throw new ThalamusError(
    'COMPOSITION_REFUSED',
    `${method} makes numbers of ${name} that float32 cannot hold: the weights or the lambda of the recipe are too large. Write smaller ones.`,
  );
}
