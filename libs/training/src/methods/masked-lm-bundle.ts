import {
  checkLowRankFits,
  lowRankFiles,
  MANIFEST_SCHEMA_VERSION,
  readLowRankAdapter,
  readMaskedLmHead,
  type EvaluationRow,
  type ExpertManifest,
  type LowRankFactors,
  type OpenedBundle,
} from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import type { Weights } from '@thalamus/onnx-graph';
import { tensor, type TensorOf } from '@thalamus/tensor';
import { MASKED_LM_HEAD } from '../graphs/encoder-graph.js';
import { transposed } from '../graphs/fold-branches.js';
import type { TrainingBase } from '../training-base.port.js';
import type { ClassifierFacts, UnwrittenBundle } from './expert-bundle.js';
import type { HyperParameters } from './hyper-parameters.js';

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
  const { factors, head } = expert;
  const files = lowRankFiles({ baseName: of.name, factors, rank, alpha, head: storedHead(head, hiddenSize) });
  return { manifest, files };
}

/** The head as bundles hold it: the dense matrix is [out, in] there. */
function storedHead(head: MaskedLmHead, hidden: number) {
  const value = (part: keyof typeof MASKED_LM_HEAD) => head.get(MASKED_LM_HEAD[part])!;
  return {
    task: 'fill-mask' as const,
    dense: transposed(value('dense'), hidden, hidden),
    denseBias: value('denseBias'),
    gain: value('gain'),
    shift: value('shift'),
    bias: value('bias'),
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
  const adapter = await readLowRankAdapter(bundle);
  checkLowRankFits(name, adapter, base.read.weights);
  const { hiddenSize: hidden } = base.read.config;
  const vocabulary = base.read.weights.get('embeddings.word_embeddings.weight')!.shape[0]!;
  const { dense, denseBias, gain, shift, bias } = await readMaskedLmHead(bundle, { hidden, vocabulary });
  const head = new Map([
    [MASKED_LM_HEAD.dense, transposed(dense, hidden, hidden)],
    [MASKED_LM_HEAD.denseBias, denseBias],
    [MASKED_LM_HEAD.gain, gain],
    [MASKED_LM_HEAD.shift, shift],
    [MASKED_LM_HEAD.bias, bias],
  ]);
  return { factors: adapter.factors, scale: adapter.scale, head };
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
