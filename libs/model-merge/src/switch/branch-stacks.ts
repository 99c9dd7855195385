import { ThalamusError } from '@thalamus/errors';
import { branchRow, type GatheredBranch } from '@thalamus/onnx-graph';
import { tensor, type Tensor } from '@thalamus/tensor';
import type { LowRankBranches, MergeParent } from '../merge-method.js';

/** The factors of all low-rank parents, one row each. */
export interface BranchStacks {
  /** int32 [parents]: row of each parent; 0 for one without branches. */
  readonly rows: Tensor;
  /** Inputs of a graph with gathered branches by name, [rows, ...]: scales float32, factors float16. */
  readonly inputs: ReadonlyMap<string, Tensor>;
}

const NONE: LowRankBranches = { factors: [], scale: 0 };

/**
 * Stacks the factors of parents, padded with zeros to the largest rank. They are float16, as bundles have them and hosts
 * serve them; float32 ones are rounded. Row 0 is zero and belongs to all that have none.
 */
export function stackBranches(
  parents: readonly MergeParent[],
  branches: readonly GatheredBranch[],
): BranchStacks {
  const stacked = [NONE, ...parents.flatMap((parent) => parent.branches ?? [])];
  const rank = Math.max(...stacked.flatMap(({ factors }) => factors.map((factor) => factor.rank)));
  let next = 0;
  const rows = Int32Array.from(parents, (parent) => (parent.branches ? ++next : 0));
  const all = stacked.map((adapter) => branchRow(adapter, branches, rank));
  const names = Object.keys(all[0] ?? {});
  return {
    rows: tensor('int32', [parents.length], rows),
    inputs: new Map(names.map((name) => [name, stackOf(all.map((row) => row[name] as Tensor))])),
  };
}

/** Tensors of one shape along a new first axis. */
function stackOf(parts: readonly Tensor[]): Tensor {
  const [first] = parts;
  const shape = [parts.length, ...(first?.shape ?? [])];
  const join = <T extends Float32Array | Uint16Array>(all: T, data: readonly Tensor['data'][]): T => {
    data.forEach((part, index) => all.set(part as T, index * part.length));
    return all;
  };
  const length = shape.reduce((product, size) => product * size, 1);
  const data = parts.map((part) => part.data);
  return first?.dtype === 'float16'
    ? tensor('float16', shape, join(new Uint16Array(length), data))
    : tensor('float32', shape, join(new Float32Array(length), data));
}

/**
 * Every layer of every parent must be one of the base, of the same sizes.
 * @throws COMPOSITION_REFUSED naming parent and layer
 */
export function checkLayers(parents: readonly MergeParent[], layers: readonly GatheredBranch[]): void {
  const known = new Map(layers.map((branch) => [branch.layer, branch]));
  for (const { name, branches } of parents)
    for (const { layer, inputs, outputs } of branches?.factors ?? []) {
      const found = known.get(layer);
      if (found?.inputs !== inputs || found.outputs !== outputs)
        throw new ThalamusError(
          'COMPOSITION_REFUSED',
          `${name} has a branch beside ${layer} of ${inputs} inputs and ${outputs} outputs, which the base has not; train it again on this base.`,
        );
    }
}
