import { ThalamusError } from '@thalamus/errors';
import {
  chooseRanks,
  compositionMethod,
  decomposeExclusiveVectors,
  maxRankOf,
  rankRuleOf,
  type ExclusiveVectors,
  type ParentWeights,
} from '@thalamus/model-merge';
import type { Mixture, Weights } from '@thalamus/onnx-graph';
import type { GraphRuntime, TrainingBase } from '@thalamus/training';
import type { CompositionTask } from './composition-task.js';
import { ROUTER_DEFAULTS, type FittedRouter, type RouterSettings } from './fit-router.js';
import { openProducts } from './multiply-in-runtime.js';
import type { OpenedParent } from './open-parent.js';
import type { OnProgress } from './progress.js';
import { sharedRecipe, staticRecipe, twinSettings } from './recipe-settings.js';
import type { StaticRecipe } from './shared-expert.js';

/** What a recipe asks for once its parents are open. */
export interface MergePlan {
  readonly shared: StaticRecipe;
  readonly router: RouterSettings;
  /** Absent for a static merge. */
  readonly twin: ReturnType<typeof twinSettings> | undefined;
}

/** What a recipe asks for of its parents, over a base of so many layers. */
export function planOf(
  { document, seed }: CompositionTask,
  layers: number,
  parents: readonly { readonly name: string }[],
): MergePlan {
  if (compositionMethod(document.method).chooses === 'static')
    return {
      shared: staticRecipe(document, layers),
      router: ROUTER_DEFAULTS,
      twin: undefined,
    };
  const twin = twinSettings(document);
  const router: RouterSettings = {
    ...ROUTER_DEFAULTS,
    passes: twin.passes === 2 ? 2 : 1,
    rowsPerParent: twin.rows_per_parent,
    groups: twin.groups,
    coverage: twin.coverage,
  };
  const names = parents.map(({ name }) => name);
  return { shared: sharedRecipe(twin, names, seed), router, twin };
}

/** Whose weights a text mixes: those of its heaviest parents, as many as the recipe says and there are; or of all. */
export function mixingRule(
  { twin }: MergePlan,
  { groups }: Pick<FittedRouter, 'groups'>,
  parents: number,
): { readonly top: number | undefined; readonly groups: FittedRouter['groups'] } {
  return { top: twin && twin.top > 0 ? Math.min(twin.top, parents) : undefined, groups };
}

/** What exclusive vectors are decomposed with. */
export interface ExclusiveTools {
  readonly seed: number;
  readonly runtime: GraphRuntime;
  readonly threads: number;
  readonly onProgress: OnProgress;
}

/** Exclusive vectors of the parents against the shared expert, and how much of them the recipe keeps. */
export async function exclusiveOf(
  twin: ReturnType<typeof twinSettings>,
  shared: Weights,
  parents: readonly ParentWeights[],
  { seed, runtime, threads, onProgress }: ExclusiveTools,
): Promise<{ readonly vectors: ExclusiveVectors; readonly mixture: Mixture }> {
  const rule = rankRuleOf(twin);
  const products = await openProducts(runtime, threads);
  try {
    const vectors = await decomposeExclusiveVectors(shared, parents, {
      maxRank: maxRankOf(rule),
      seed,
      multiply: products.multiply,
      onMatrix: (done, total) => onProgress({ stage: 'factors', done, total }),
    });
    return { vectors, mixture: vectors.mixture(chooseRanks(vectors.spectra, rule)) };
  } finally {
    await products.release();
  }
}

/** @throws COMPOSITION_REFUSED for weights that were trained and are those of the base */
export function requireChange(
  { name, weights, bundle }: ParentWeights & Pick<OpenedParent, 'bundle'>,
  base: TrainingBase,
): void {
  if (bundle.manifest.kind === 'probe') return;
  const isChanged = [...base.read.weights].some(([tensor, { data }]) =>
    data.some((value, at) => weights.get(tensor)?.data[at] !== value),
  );
  if (isChanged) return;
  throw new ThalamusError(
    'COMPOSITION_REFUSED',
    `${name} cannot be a parent: its weights are those of ${base.manifest.name}, so that it brings nothing to merge. Train it, or leave it out.`,
  );
}
