import { LOW_RANK_FILES, type ExpertManifest } from '@thalamus/bundle';
import type { InformationSettings } from '../information/measure-information.js';
import { informationOf } from '../recipe-settings.js';
import type { Recipe } from './recipe.js';

/** What a composition will take. */
export interface CompositionEstimate {
  /** Bytes of the resulting bundle. */
  readonly sizeBytes: number;
  /** Bytes of memory while it is made. */
  readonly memoryBytes: number;
  /** Gradients of one text each that Fisher information is measured by, at most; 0 where none is. */
  readonly gradients: number;
}

/** The rank fraction that sizes are estimated by. */
const DEFAULT_FRACTION = 0.1;
/** The composing process itself with both runtimes, measured. */
const PROCESS_BYTES = 160 * 2 ** 20;
/** Copies of the base's graph that are held at the worst moment: files, parsed graphs and sessions of base and result. */
const BASE_COPIES = 9;
/** The same with low-rank parents, whose graph and whose parity check hold a second session and the larger results of branches. */
const LOW_RANK_BASE_COPIES = 24;
/** Copies of the stacked factors: read, padded, encoded, in a session. */
const STACK_COPIES = 5;

/** Sessions and copies of one encoder in float32 at the worst moment, parents not counted. */
const MERGED_COPIES = 6;
/** Weights, gradients and sums of squares in float64 while information is measured. */
const GRADIENT_COPIES = 4;
/** Tables of the router, with their gradients while it is fitted: bytes a parent. */
const ROUTER_BYTES = 2 * 2 ** 20;
/** Factors of a rank fraction take about this many times the fraction of the weights, two bytes a number. */
const FACTOR_SHARE = 1.3;

/** Share of a base's weights that masked language models change: its word embeddings, about half of them, stay. */
const MASKED_SHARE = 0.5;
/** Scores of a batch against the whole vocabulary, and the softmax of them. */
const SCORES_BYTES = 256 * 2 ** 20;

/** What a recipe will take, by the manifests of its parents and base; undefined for what has none. */
export function estimateComposition(
  recipe: Recipe,
  parents: readonly (ExpertManifest | undefined)[],
  base: ExpertManifest | undefined,
): CompositionEstimate {
  if (recipe.method.chooses === 'parent') return estimateSwitch(parents, base);
  const weights = base?.parameterCount ?? 0;
  const dense = 4 * weights;
  const stored = { int8: 1.1, float16: 2, float32: 4 }[recipe.document.dtype ?? 'float32'] * weights;
  const fraction = recipe.method.chooses === 'weights' ? DEFAULT_FRACTION : 0;
  const information = informationOf(recipe);
  const isMasked = parents.some((manifest) => manifest?.task === 'fill-mask');
  const changed = isMasked ? MASKED_SHARE * weights : weights;
  const factors = 2 * FACTOR_SHARE * fraction * changed * parents.length;
  // Heads of masked language models are kept whole, as their bundles hold them.
  const heads = isMasked
    ? parents.reduce((sum, manifest) => sum + fileBytes(manifest, LOW_RANK_FILES.head), 0)
    : 0;
  return {
    sizeBytes: Math.round(stored + factors + heads + ROUTER_BYTES * parents.length),
    memoryBytes: Math.round(
      PROCESS_BYTES +
        (parents.length + MERGED_COPIES) * dense +
        6 * (factors + heads) +
        (isMasked ? SCORES_BYTES : 0) +
        (information ? (parents.length + GRADIENT_COPIES) * dense : 0) +
        8 * ROUTER_BYTES * parents.length,
    ),
    gradients: information ? gradientsOf(information, parents) : 0,
  };
}

function gradientsOf(
  { rows, labels }: InformationSettings,
  parents: readonly (ExpertManifest | undefined)[],
): number {
  return parents.reduce((sum, manifest) => sum + rows * (labels || (manifest?.labels?.length ?? 1)), 0);
}

const fileBytes = (manifest: ExpertManifest | undefined, path: string) =>
  manifest?.files.find((file) => file.path === path)?.bytes ?? 0;

function estimateSwitch(
  parents: readonly (ExpertManifest | undefined)[],
  base: ExpertManifest | undefined,
): CompositionEstimate {
  const baseBytes = base?.files.reduce((sum, file) => sum + file.bytes, 0) ?? 0;
  // Heads are stored as float16 and fused as float32.
  const headBytes = parents.reduce((sum, manifest) => sum + 2 * fileBytes(manifest, LOW_RANK_FILES.head), 0);
  const adapters = parents
    .map((manifest) => fileBytes(manifest, LOW_RANK_FILES.adapter))
    .filter((bytes) => bytes > 0);
  const isLowRank = adapters.length > 0;
  // Every row is padded to the largest, and there is one of zeros for parents without branches.
  const stackBytes = isLowRank ? (adapters.length + 1) * Math.max(...adapters) : 0;
  const copies = isLowRank ? LOW_RANK_BASE_COPIES : BASE_COPIES;
  return {
    sizeBytes: baseBytes + headBytes + stackBytes,
    memoryBytes: PROCESS_BYTES + copies * baseBytes + STACK_COPIES * stackBytes,
    gradients: 0,
  };
}
