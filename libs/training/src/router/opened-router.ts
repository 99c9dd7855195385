import {
  readSafetensors,
  requireFloat32,
  type Digest,
  type OpenedBundle,
  type RouterManifest,
} from '@thalamus/bundle';
import {
  calibratedLosses,
  encoderFromTensors,
  headsFromTensors,
  predictLosses,
  readFurtherParts,
  regionIds,
  regionOfStage,
  rowsForSecond,
  withSecondLosses,
  type FeatureSpec,
  type LossHeads,
  type RiskRows,
  type SecondStageModel,
} from '@thalamus/routing';

/** Tensor of the head file with the centres of regions. */
export const REGIONS = 'regions.centroids';

/** A router model that is ready to predict. */
export interface OpenedRouter {
  readonly manifest: RouterManifest;
  readonly digest: Digest;
  readonly heads: LossHeads;
  readonly spec: FeatureSpec;
  /** Of a cascade. */
  readonly second: SecondStageModel | undefined;
  /** Centres of regions, [count, dimension]. */
  readonly centroids: Float32Array | undefined;
  /** By which bounds on the risk are certified. */
  readonly riskRows: RiskRows | undefined;
}

/** What the first stage, or the only one, says of prompts. */
export interface FirstPredictions {
  /** Losses as the heads give them, [prompts, candidates]. */
  readonly raw: Float32Array;
  readonly regions: ArrayLike<number>;
  /** Prompts that need the second stage. */
  readonly open: readonly number[];
}

/** Losses and regions of prompts by the first stage, and who needs the second, from their vectors [prompts, dimension]. */
export function firstPredictions(
  { manifest, heads, centroids, second }: OpenedRouter,
  vectors: Float32Array,
): FirstPredictions {
  const raw = predictLosses(heads, vectors);
  const regions = centroids
    ? regionIds(vectors, centroids, heads.dimension)
    : new Uint32Array(vectors.length / heads.dimension);
  const open = second ? rowsForSecond(raw, manifest.candidates.length, regions, second.gate) : [];
  return { raw, regions, open };
}

/** Calibrated losses of prompts and the region of each, with the vectors [open, dimension] of those that need the second stage. */
export function predictedBy(
  { manifest, second }: OpenedRouter,
  { raw, regions, open }: FirstPredictions,
  secondVectors: Float32Array,
) {
  const isOpen = new Set(open);
  const mixed =
    second && open.length > 0 ? withSecondLosses(raw, open, predictLosses(second.heads, secondVectors)) : raw;
  return {
    raw: mixed,
    calibrated: calibratedLosses(mixed, manifest.candidates.length, manifest.calibration),
    regions: second
      ? Uint32Array.from(regions, (region, row) => regionOfStage(region, isOpen.has(row), second.gate))
      : regions,
  };
}

/**
 * Heads and parts of an opened bundle. The parts of a router model whose encoder is a graph alone are that graph's vector.
 * @throws BUNDLE_INVALID when a tensor is absent or of another shape
 */
export async function openedRouter(bundle: OpenedBundle<RouterManifest>): Promise<OpenedRouter> {
  const { manifest, digest } = bundle;
  const { dimension, inputs, file } = manifest.encoder;
  const headFile = readSafetensors(await bundle.readFile(manifest.heads.file));
  const candidates = manifest.candidates.length;
  const heads = headsFromTensors(manifest.heads, { dimension, candidates }, (name, shape) =>
    requireFloat32(headFile, name, shape),
  );
  const blocks = inputs ?? [{ kind: 'sentence' as const, width: dimension, weight: 1 }];
  const tables = file === undefined ? undefined : readSafetensors(await bundle.readFile(file));
  const spec = encoderFromTensors({ blocks }, (name, shape) =>
    requireFloat32(tables ?? { tensors: new Map(), metadata: {} }, name, shape),
  );
  const centroids = headFile.tensors.has(REGIONS)
    ? requireFloat32(headFile, REGIONS, [-1, dimension])
    : undefined;
  const further = await readFurtherParts(manifest, spec, async (name) => {
    const tensors = readSafetensors(await bundle.readFile(name));
    return (tensor, shape) => requireFloat32(tensors, tensor, shape);
  });
  return { manifest, digest, heads, spec, centroids, ...further };
}
