import { readAdapterConfig, writeAdapterConfig } from './adapter-config.js';
import { BundleTensors, requireFinite } from './bundle-tensors.js';
import { writeDeltaHead } from './delta-head.js';
import type { ExpertManifest } from './expert-manifest.js';
import {
  factorName,
  LOW_RANK_FILES,
  parseFactorName,
  refusedFile,
  type DeltaHead,
  type LowRankAdapter,
  type LowRankFactors,
} from './low-rank-format.js';
import type { OpenedBundle } from './open-bundle.js';
import { float16Tensor, toFloat32, writeSafetensors, type StoredTensor } from './safetensors.js';
import type { BundleFiles } from './write-bundle.js';

type Expert = Pick<OpenedBundle<ExpertManifest>, 'manifest' | 'readFile'>;

/** Shapes of the weights of a base by name, such as `encoder.layer.0.output.dense.weight` [out, in]. */
export type WeightShapes = ReadonlyMap<string, { readonly shape: readonly number[] }>;

/** What a `lowrank` bundle is written from. */
export interface LowRankParts {
  readonly baseName: string;
  readonly factors: readonly LowRankFactors[];
  readonly rank: number;
  readonly alpha: number;
  readonly head: DeltaHead;
}

/**
 * The three files of a `lowrank` bundle, numbers as float16. Equal parts give equal bytes.
 * @throws BUNDLE_INVALID for numbers that float16 cannot hold
 */
export function lowRankFiles({ baseName, factors, rank, alpha, head }: LowRankParts): BundleFiles {
  const tensors: Record<string, StoredTensor> = {};
  for (const { layer, a, b, inputs, outputs, rank: own } of factors) {
    tensors[factorName(layer, 'A')] = float16Tensor([own, inputs], a);
    tensors[factorName(layer, 'B')] = float16Tensor([outputs, own], b);
  }
  const bundle = `A low-rank expert over ${baseName}`;
  for (const [name, stored] of Object.entries(tensors))
    requireFinite(bundle, LOW_RANK_FILES.adapter, name, toFloat32(stored));
  const layers = factors.map(({ layer }) => layer);
  return {
    [LOW_RANK_FILES.adapter]: writeSafetensors(tensors),
    [LOW_RANK_FILES.config]: writeAdapterConfig({ rank, alpha }, baseName, layers),
    [LOW_RANK_FILES.head]: writeDeltaHead(bundle, head),
  };
}

/**
 * Reads the factors of a `lowrank` bundle.
 * @throws BUNDLE_INVALID naming file and field for what is not supported: another layout, patterns of ranks, factors
 * without their partner, shapes that are not of the rank, numbers that are not finite
 */
export async function readLowRankAdapter(expert: Expert): Promise<LowRankAdapter> {
  const { name } = expert.manifest;
  const { rank, alpha } = readAdapterConfig(name, await expert.readFile(LOW_RANK_FILES.config));
  const file = LOW_RANK_FILES.adapter;
  const stored = BundleTensors.read(name, file, await expert.readFile(file)).together();
  const layers = new Set<string>();
  for (const tensor of stored.names) {
    const { layer } =
      parseFactorName(tensor) ?? stored.refuse(tensor, 'is no factor of LoRA over a linear layer');
    layers.add(layer);
  }
  if (layers.size === 0) throw refusedFile(name, file, '', 'holds no factors');
  const factors = [...layers].map((layer) => {
    const a = stored.floats(factorName(layer, 'A'), [rank, -1], `[${rank}, in]`);
    const b = stored.floats(factorName(layer, 'B'), [-1, rank], `[out, ${rank}]`);
    const [inputs, outputs] = [a.length / rank, b.length / rank];
    return { layer, a, b, rank, inputs, outputs };
  });
  return { factors, rank, alpha, scale: alpha / rank };
}

/**
 * Holds the factors against the base that they are for: every layer must be one of its linear layers, of the same sizes.
 * @throws BUNDLE_INVALID naming the tensor
 */
export function checkLowRankFits(bundle: string, adapter: LowRankAdapter, base: WeightShapes): void {
  for (const factors of adapter.factors) {
    const misfit = misfitOf(factors, base);
    if (misfit)
      throw refusedFile(
        bundle,
        LOW_RANK_FILES.adapter,
        factorName(factors.layer, misfit.part),
        misfit.description,
      );
  }
}

/** Which factor of a layer is not of the size of the base's layer, and why; undefined when both fit. */
export function misfitOf(
  { layer, inputs, outputs }: Pick<LowRankFactors, 'layer' | 'inputs' | 'outputs'>,
  base: WeightShapes,
): { readonly part: 'A' | 'B'; readonly description: string } | undefined {
  const shape = layer.startsWith('encoder.') ? base.get(`${layer}.weight`)?.shape : undefined;
  if (shape?.length !== 2)
    return { part: 'A', description: 'is for a layer that is no linear layer of its base' };
  if (shape[1] !== inputs)
    return {
      part: 'A',
      description: `takes ${inputs} values where the layer of its base has ${shape[1]}`,
    };
  if (shape[0] !== outputs)
    return {
      part: 'B',
      description: `gives ${outputs} values where the layer of its base has ${shape[0]}`,
    };
  return undefined;
}
