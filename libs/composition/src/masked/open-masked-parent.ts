import { openBundle, type ExpertManifest, type OpenedBundle } from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import type { MaskedParent, ParentWeights } from '@thalamus/model-merge';
import type { MixedHead, Weights } from '@thalamus/onnx-graph';
import { tensor } from '@thalamus/tensor';
import {
  foldBranches,
  MASKED_LM_HEAD,
  readMaskedLm,
  type MaskedLmHead,
  type TrainingBase,
} from '@thalamus/training';

/** A masked language model with all of its weights, as float32. */
export interface OpenedMaskedParent extends ParentWeights, MaskedParent {
  readonly bundle: OpenedBundle<ExpertManifest>;
}

/**
 * Opens the bundle of a masked language model that stands on a base as low-rank branches, digests first.
 * @throws COMPOSITION_REFUSED for another task or kind, BUNDLE_INVALID for another base or a damaged bundle
 */
export async function openMaskedParent(folder: string, base: TrainingBase): Promise<OpenedMaskedParent> {
  const bundle = await openBundle(folder);
  const { name, kind, task } = bundle.manifest;
  if (task !== 'fill-mask' || kind !== 'lowrank')
    throw new ThalamusError(
      'COMPOSITION_REFUSED',
      `${name} cannot be a parent: it is ${kind} for ${task}, and the others are masked language models of the kind lowrank. Leave it out.`,
    );
  const { factors, scale, head } = await readMaskedLm(bundle, base);
  return { name, bundle, weights: foldBranches(base.read.weights, factors, scale), head: mixedHead(head) };
}

/** A head as graphs of several take it. */
function mixedHead(head: MaskedLmHead): MixedHead {
  const value = (part: keyof typeof MASKED_LM_HEAD) => head.get(MASKED_LM_HEAD[part])!;
  return {
    dense: value('dense'),
    denseBias: value('denseBias'),
    gain: value('gain'),
    shift: value('shift'),
    bias: value('bias'),
  };
}

/** Most that a merge may move a number by rounding alone, as a share of the largest number of its tensor. */
const ROUNDING = 1e-6;

/**
 * A shared expert with the base's own bytes in every tensor that no parent changes and that the merge moved by rounding alone, such as
 * a mean of equal numbers: so that no parent differs from it there.
 */
export function withoutRounding(shared: Weights, base: Weights, parents: readonly ParentWeights[]): Weights {
  return new Map(
    [...shared].map(([name, merged]) => {
      const own = base.get(name)!;
      if (parents.some(({ weights }) => weights.get(name)?.data !== own.data)) return [name, merged];
      let [largest, moved] = [0, 0];
      merged.data.forEach((value, at) => {
        largest = Math.max(largest, Math.abs(own.data[at]!));
        moved = Math.max(moved, Math.abs(value - own.data[at]!));
      });
      return [name, moved <= ROUNDING * largest ? tensor('float32', own.shape, own.data) : merged];
    }),
  );
}
