import {
  lowRankFiles,
  writeBundle,
  type Digest,
  type ExpertManifest,
  type MaskedLmHead,
  type WrittenBundle,
} from '@thalamus/bundle';
import { encodeModel, type OnnxModel } from '@thalamus/onnx-graph';
import { createRandom } from '@thalamus/tensor';
import {
  PICO_CONFIG,
  PICO_VOCABULARY,
  picoFacts,
  picoFactors,
  picoTokenizer,
  type PicoBranches,
  type PicoName,
} from './pico-models.js';

/** Writes any graph as a bundle that takes texts, over the pico tokenizer. */
export function writePicoTextGraph(
  folder: string,
  { name, version = '1' }: PicoName,
  manifest: Pick<ExpertManifest, 'task'> & Partial<ExpertManifest>,
  model: OnnxModel,
): Promise<WrittenBundle> {
  return writeBundle(
    folder,
    { ...picoFacts(), maxTokens: PICO_CONFIG.maxPositions, ...manifest, name, version, kind: 'full' },
    { 'model.onnx': encodeModel(model), 'tokenizer.json': picoTokenizer() },
  );
}

/** A random masked-LM head for the pico encoder; the same for the same seed. */
export function picoMaskedLmHead(seed: number): MaskedLmHead {
  const random = createRandom(seed);
  const { hiddenSize: hidden } = PICO_CONFIG;
  const values = (length: number, center = 0, spread = 0.3) =>
    Float32Array.from({ length }, () => center + spread * random.normal());
  return {
    task: 'fill-mask',
    dense: values(hidden * hidden),
    denseBias: values(hidden),
    gain: values(hidden, 1),
    shift: values(hidden),
    bias: values(PICO_VOCABULARY.length),
  };
}

/** Writes a low-rank masked language model over a pico base, with the head of `picoMaskedLmHead`. */
export function writePicoMaskedLm(
  folder: string,
  { name, version = '1', seed = 1 }: PicoName,
  base: { readonly name: string; readonly digest: Digest },
  { rank, alpha, factors = picoFactors(rank, seed) }: PicoBranches,
  more: Partial<Pick<ExpertManifest, 'trainingData'>> = {},
): Promise<WrittenBundle> {
  return writeBundle(
    folder,
    {
      ...picoFacts(),
      ...more,
      name,
      version,
      kind: 'lowrank',
      task: 'fill-mask',
      base: { ...base },
      maxTokens: PICO_CONFIG.maxPositions,
    },
    lowRankFiles({ baseName: base.name, factors, rank, alpha, head: picoMaskedLmHead(seed) }),
  );
}
