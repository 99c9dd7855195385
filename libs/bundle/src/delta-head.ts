import { ThalamusError } from '@thalamus/errors';
import { BundleTensors, requireFinite } from './bundle-tensors.js';
import type { ExpertManifest } from './expert-manifest.js';
import {
  HEAD_TENSORS,
  LOW_RANK_FILES,
  type ClassifierHead,
  type DeltaHead,
  type HeadSizes,
  type MaskedLmHead,
} from './low-rank-format.js';
import type { OpenedBundle } from './open-bundle.js';
import { float16Tensor, toFloat32, writeSafetensors, type StoredTensor } from './safetensors.js';

type Expert = Pick<OpenedBundle<ExpertManifest>, 'manifest' | 'readFile'>;
type Shapes = Readonly<Record<string, readonly number[]>>;

/**
 * The head of an expert that stands on a base, by the task of its manifest: `text-classification` or `fill-mask`.
 * @throws BUNDLE_INVALID naming the tensor, METHOD_UNSUPPORTED for another task
 */
export async function readDeltaHead(expert: Expert, sizes: HeadSizes): Promise<DeltaHead> {
  const { name, task } = expert.manifest;
  switch (task) {
    case 'text-classification':
      return readClassifierHead(expert, sizes.hidden);
    case 'fill-mask':
      return readMaskedLmHead(expert, sizes);
    case 'feature-extraction':
    case 'text-generation':
      throw new ThalamusError(
        'METHOD_UNSUPPORTED',
        `${name} is for ${task}; experts over a base have a head for text-classification or fill-mask.`,
      );
  }
}

/** The head of a probe or a `lowrank` classifier; as many rows as the manifest has labels. @throws BUNDLE_INVALID */
export async function readClassifierHead(expert: Expert, hidden: number): Promise<ClassifierHead> {
  const labels = expert.manifest.labels?.length ?? 0;
  const shapes = { weights: [labels, hidden], bias: [labels] };
  return { task: 'text-classification', ...(await readTensors(expert, 'text-classification', shapes)) };
}

/** The head of a masked language model, whose decoder is the word embeddings of the base. @throws BUNDLE_INVALID */
export async function readMaskedLmHead(
  expert: Expert,
  { hidden, vocabulary }: HeadSizes,
): Promise<MaskedLmHead> {
  const shapes = {
    dense: [hidden, hidden],
    denseBias: [hidden],
    gain: [hidden],
    shift: [hidden],
    bias: [vocabulary],
  };
  return { task: 'fill-mask', ...(await readTensors(expert, 'fill-mask', shapes)) };
}

/** Bytes of a `head.safetensors`, numbers as float16. @throws BUNDLE_INVALID for numbers that float16 cannot hold */
export function writeDeltaHead(bundle: string, head: DeltaHead): Uint8Array {
  const tensors: Record<string, StoredTensor> = {};
  const put = (name: string, shape: readonly number[], values: Float32Array) => {
    const stored = float16Tensor(shape, values);
    requireFinite(bundle, LOW_RANK_FILES.head, name, toFloat32(stored));
    tensors[name] = stored;
  };
  if (head.task === 'text-classification') {
    const { weights, bias } = HEAD_TENSORS[head.task];
    put(weights, [head.bias.length, head.weights.length / head.bias.length], head.weights);
    put(bias, [head.bias.length], head.bias);
  } else {
    const names = HEAD_TENSORS[head.task];
    const hidden = head.denseBias.length;
    put(names.dense, [hidden, hidden], head.dense);
    for (const part of ['denseBias', 'gain', 'shift', 'bias'] as const)
      put(names[part], [head[part].length], head[part]);
  }
  return writeSafetensors(tensors);
}

async function readTensors<S extends Shapes>(
  expert: Expert,
  task: DeltaHead['task'],
  shapes: S,
): Promise<Record<keyof S, Float32Array>> {
  const names = HEAD_TENSORS[task] as Readonly<Record<keyof S, string>>;
  const file = LOW_RANK_FILES.head;
  const stored = BundleTensors.read(expert.manifest.name, file, await expert.readFile(file));
  const known = new Set<string>(Object.values(names));
  for (const name of stored.names)
    if (!known.has(name)) stored.refuse(name, `is no tensor of a head for ${task}`);
  const values = Object.entries(shapes).map(([part, shape]) => [
    part,
    stored.floats(names[part as keyof S], shape),
  ]);
  return Object.fromEntries(values) as Record<keyof S, Float32Array>;
}
