import { ThalamusError } from '@thalamus/errors';
import type {
  BoundMerge,
  ParentTensor,
  StaticMethod,
  StaticParameters,
  TensorGroup,
} from './static-method.js';
import { parseStaticParameters, type GivenParameters } from './static-parameters.js';

/**
 * One merge of one model. While `needsPass`, show it every tensor with `observe` and then call `endPass`; after that ask for
 * tensors with `merge`, in any order. Nothing is kept of a tensor but statistics and scratch blocks, so that the model is
 * never held as a whole.
 */
export interface StaticMerge {
  /** Whether a pass over the whole model is still to come. */
  readonly needsPass: boolean;
  /** Takes in a tensor of the pass. @throws TENSOR_INVALID */
  observe(group: TensorGroup): void;
  /** Ends the pass. */
  endPass(): void;
  /**
   * The merged tensor, written into `out` when given. Non-finite input is refused.
   * @throws TENSOR_INVALID that names the tensor and the parent; nothing has been written then
   */
  merge(group: TensorGroup, out?: Float32Array): Float32Array;
}

/** Parameters for all tensors, or a function that gives those of one tensor. */
export type ParametersOfTensor = GivenParameters | ((tensor: string) => GivenParameters);

/**
 * Begins a merge. Parameters that vary from tensor to tensor are refused where the method needs statistics of the whole model.
 * @throws REQUEST_INVALID for parameters that the method does not take
 */
export function startStaticMerge(method: StaticMethod, given: ParametersOfTensor): StaticMerge {
  const parametersOf = typeof given === 'function' ? given : () => given;
  const bound = new Map<string, { parameters: StaticParameters; merge: BoundMerge }>();
  const bind = (tensor: string) => {
    const wanted = parametersOf(tensor);
    const key = JSON.stringify(wanted);
    let found = bound.get(key);
    if (!found) {
      const parameters = inOrder(method, parseStaticParameters(method, wanted));
      found = { parameters, merge: method.bind(parameters) };
      if ([found, ...bound.values()].some(({ merge }) => merge.statistics) && bound.size > 0)
        throw varies(method, tensor);
      // Parameters that change with every layer must not pile up scratch memory.
      bound.clear();
      bound.set(key, found);
    }
    return found;
  };
  const first = typeof given === 'function' ? undefined : bind('');
  let hasEnded = false;
  let isKnown = first !== undefined;
  let needed = first?.merge.statistics !== undefined;
  const open = (group: TensorGroup) => {
    const { parameters, merge } = bind(group.name);
    if (!isKnown) needed = merge.statistics !== undefined;
    isKnown = true;
    return { group: checked(method, parameters, group), merge };
  };
  return {
    get needsPass() {
      return !hasEnded && (!isKnown || needed);
    },
    observe(group) {
      const opened = open(group);
      opened.merge.statistics?.observe(opened.group);
    },
    endPass() {
      const merge = [...bound.values()][0]?.merge;
      hasEnded = merge?.statistics?.endPass() ?? true;
    },
    merge(group, out = new Float32Array(group.parents[0]?.data.length ?? 0)) {
      const opened = open(group);
      if (needed && !hasEnded)
        throw new ThalamusError(
          'REQUEST_INVALID',
          `${method.name} has to see every tensor before it merges ${group.name}: observe them all and end the pass.`,
        );
      if (out.length !== opened.group.parents[0]?.data.length)
        throw wrong(group.name, `the output has ${out.length} elements`);
      opened.merge.merge(opened.group, out);
      return out;
    },
  };
}

/** Parents sorted by name where their order is of no account. */
function inOrder(method: StaticMethod, { shared, parents }: StaticParameters): StaticParameters {
  if (!method.isOrderFree) return { shared, parents };
  return { shared, parents: [...parents].sort((a, b) => (a.name < b.name ? -1 : 1)) };
}

/** The group with the parents that the parameters name, in their order. */
function checked(method: StaticMethod, { parents }: StaticParameters, group: TensorGroup): TensorGroup {
  const { name, dims, base } = group;
  const length = dims.reduce((product, size) => product * size, 1);
  const given = new Map(group.parents.map((parent) => [parent.name, parent]));
  if (given.size !== group.parents.length || given.size !== parents.length)
    throw wrong(name, `${group.parents.length} parents are given for ${parents.length} names`);
  if (method.needsBase) check(name, 'the base', base, length);
  const ordered = parents.map(({ name: parent }): ParentTensor => {
    const found = given.get(parent);
    if (!found) throw wrong(name, `${parent} brings none`);
    check(name, parent, found.data, length);
    if (method.needsInformation) {
      check(name, `the information of ${parent}`, found.information, length);
      if (found.information?.some((value) => value < 0))
        throw wrong(
          name,
          `the information of ${parent} holds a negative number; squared gradients have none`,
        );
    }
    return found;
  });
  return { name, dims, base: method.needsBase ? base : undefined, parents: ordered };
}

function check(tensor: string, owner: string, data: Float32Array | undefined, length: number): void {
  if (!data) throw wrong(tensor, `${owner} is missing`);
  if (data.length !== length)
    throw wrong(tensor, `${owner} has ${data.length} elements where its dimensions say ${length}`);
  // x - x is 0 for finite x and NaN otherwise, and NaN stays in a sum: one pass without branches.
  let sum = 0;
  for (let i = 0; i < data.length; i++) sum += data[i]! - data[i]!;
  if (sum !== 0) throw wrong(tensor, `${owner} holds NaN or infinity`);
}

function wrong(tensor: string, what: string): ThalamusError {
  return new ThalamusError(
    'TENSOR_INVALID',
    `Tensor ${tensor} cannot be merged: ${what}. All parents need the same finite float32 tensors.`,
  );
}

function varies(method: StaticMethod, tensor: string): ThalamusError {
  return new ThalamusError(
    'REQUEST_INVALID',
    `Parameters vary with the tensor (${tensor}), but ${method.name} takes statistics of the whole model (${method.modelWide}); give one value each.`,
  );
}
