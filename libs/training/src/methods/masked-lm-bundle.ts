import {
  float16Tensor,
  MANIFEST_SCHEMA_VERSION,
  readSafetensors,
  requireFloat32,
  writeSafetensors,
  type EvaluationRow,
  type ExpertManifest,
  type OpenedBundle,
} from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import type { Weights } from '@thalamus/onnx-graph';
import { tensor, type TensorOf } from '@thalamus/tensor';
import { MASKED_LM_HEAD } from '../graphs/encoder-graph.js';
import { transposed, type LowRankFactors } from '../graphs/fold-branches.js';
import type { TrainingBase } from '../training-base.port.js';
import { branchFiles, type ClassifierFacts, type UnwrittenBundle } from './expert-bundle.js';
import type { HyperParameters } from './hyper-parameters.js';
import { readFactors } from './open-classifier.js';

/** Parameters of a masked-LM head by name, in the graph's layout; see `MASKED_LM_HEAD`. */
export type MaskedLmHead = ReadonlyMap<string, Float32Array>;

/** A masked language model as branches over a base. */
export interface MaskedLmExpert {
  readonly factors: readonly LowRankFactors[];
  /** Branches are multiplied by this: alpha / rank. */
  readonly scale: number;
  readonly head: MaskedLmHead;
}

/** What a bundle says besides its weights. */
export type MaskedLmFacts = Omit<ClassifierFacts, 'datasets'> & {
  /** Bundle whose weights the training began with, when it was not the base. */
  readonly startedFrom?: {
    readonly name: string;
    readonly version: string;
    readonly digest: `sha256:${string}`;
  };
  readonly evaluation: readonly EvaluationRow[];
};

/** Bundle of the kind lowrank for fill-mask, everything stored as float16. Equal results and facts give equal bytes. */
export function maskedLmBundle(
  expert: MaskedLmExpert,
  base: TrainingBase,
  settings: HyperParameters,
  steps: number,
  facts: MaskedLmFacts,
): UnwrittenBundle {
  const { manifest: of } = base;
  const { hiddenSize } = base.read.config;
  const vocabulary = expert.head.get(MASKED_LM_HEAD.bias)!.length;
  const branchCount = expert.factors.reduce((sum, { a, b }) => sum + a.length + b.length, 0);
  const headCount = [...expert.head.values()].reduce((sum, { length }) => sum + length, 0);
  const { epochs, rate, headRate, schedule, rank, alpha, rowsPerBatch, maxTokens } = settings;
  const start = { name: of.name, version: of.version, digest: base.digest };
  const manifest: Omit<ExpertManifest, 'files'> = {
    schemaVersion: MANIFEST_SCHEMA_VERSION,
    name: facts.name,
    version: facts.version,
    kind: 'lowrank',
    task: 'fill-mask',
    description: facts.description,
    base: { name: of.name, digest: base.digest },
    maxTokens: of.maxTokens,
    parameterCount: of.parameterCount + headCount + branchCount,
    // The head scores masked places only: one of them costs its dense layer and the whole vocabulary.
    flopsPerToken: of.flopsPerToken + 2 * branchCount,
    precision: 'float16',
    licence: facts.licence,
    trainingData: [...facts.trainingData],
    lineage: {
      recipe: `masked-lm lora: AdamW, ${epochs} epochs, rate ${rate}, head ${headRate}, ${schedule}, rank ${rank}, alpha ${alpha}, batch ${rowsPerBatch}, ${maxTokens} tokens, ${steps} steps`,
      parents: [start, ...(facts.startedFrom ? [facts.startedFrom] : [])],
      seed: facts.seed,
    },
    evaluation: [...facts.evaluation],
    trust: { signed: false, scanned: true, backdoorTested: false },
    releaseDate: facts.date,
  };
  const vector = (name: string, size: number) => float16Tensor([size], expert.head.get(name)!);
  const dense = transposed(expert.head.get(MASKED_LM_HEAD.dense)!, hiddenSize, hiddenSize);
  const head = writeSafetensors({
    [MASKED_LM_HEAD.dense]: float16Tensor([hiddenSize, hiddenSize], dense),
    [MASKED_LM_HEAD.denseBias]: vector(MASKED_LM_HEAD.denseBias, hiddenSize),
    [MASKED_LM_HEAD.gain]: vector(MASKED_LM_HEAD.gain, hiddenSize),
    [MASKED_LM_HEAD.shift]: vector(MASKED_LM_HEAD.shift, hiddenSize),
    [MASKED_LM_HEAD.bias]: vector(MASKED_LM_HEAD.bias, vocabulary),
  });
  return {
    manifest,
    files: { ...branchFiles(expert.factors, base, settings), 'head.safetensors': head },
  };
}

/**
 * Reads a bundle that `maskedLmBundle` wrote, over the base that it names.
 * @throws BUNDLE_INVALID when it stands on another base, METHOD_UNSUPPORTED for another kind or task
 */
export async function readMaskedLm(
  bundle: OpenedBundle<ExpertManifest>,
  base: TrainingBase,
): Promise<MaskedLmExpert> {
  const { kind, task, name, base: wanted } = bundle.manifest;
  if (kind !== 'lowrank' || task !== 'fill-mask')
    throw new ThalamusError(
      'METHOD_UNSUPPORTED',
      `${name} is ${kind} for ${task}, not lowrank for fill-mask.`,
    );
  if (wanted?.digest !== base.digest)
    throw new ThalamusError(
      'BUNDLE_INVALID',
      `${name} stands on ${wanted?.name ?? 'a base'} ${wanted?.digest ?? ''}, but the base given is ${base.manifest.name} ${base.digest}; name the folder of its own base with --base.`,
    );
  const { factors, scale } = await readFactors(bundle);
  const stored = readSafetensors(await bundle.readFile('head.safetensors'));
  const width = base.read.config.hiddenSize;
  const vocabulary = base.read.weights.get('embeddings.word_embeddings.weight')!.shape[0]!;
  const vector = (key: string, size = width) => [key, requireFloat32(stored, key, [size])] as const;
  const dense = requireFloat32(stored, MASKED_LM_HEAD.dense, [width, width]);
  const head = new Map([
    [MASKED_LM_HEAD.dense, transposed(dense, width, width)],
    vector(MASKED_LM_HEAD.denseBias),
    vector(MASKED_LM_HEAD.gain),
    vector(MASKED_LM_HEAD.shift),
    vector(MASKED_LM_HEAD.bias, vocabulary),
  ]);
  return { factors, scale, head };
}

/** Weights of a base with a head beside them, as `maskedLmGraph` takes them. */
export function withHead(weights: Weights, head: MaskedLmHead): Weights {
  const added = [...head].map(([name, data]): [string, TensorOf<'float32'>] => {
    const size = data.length;
    const width = Math.sqrt(size);
    return [name, tensor('float32', name === MASKED_LM_HEAD.dense ? [width, width] : [size], data)];
  });
  return new Map([...weights, ...added]);
}
