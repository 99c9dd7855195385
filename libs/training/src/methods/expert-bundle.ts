import {
  float16Tensor,
  MANIFEST_SCHEMA_VERSION,
  writeSafetensors,
  type BundleFiles,
  type ExpertManifest,
} from '@thalamus/bundle';
import { encodeModel } from '@thalamus/onnx-graph';
import { classifierGraph } from '../graphs/encoder-graph.js';
import { transposed, type LowRankFactors } from '../graphs/fold-branches.js';
import { evaluationRow, evaluationRows, type ProbeFacts } from '../probe-bundle.js';
import type { HyperParameters } from './hyper-parameters.js';
import type { TrainedClassifier } from './train-classifier.js';
import type { TrainingBase } from '../training-base.port.js';
import { trainedWeights } from './trained-weights.js';

/** What a bundle says besides its weights; the measured figures come with the weights. */
export type ClassifierFacts = Pick<
  ProbeFacts,
  'name' | 'version' | 'description' | 'licence' | 'trainingData' | 'seed' | 'date'
> & { readonly datasets: { readonly validation: string; readonly test: string } };

/** A bundle before it is written: hand it to `writeBundle`. */
export interface UnwrittenBundle {
  readonly manifest: Omit<ExpertManifest, 'files'>;
  readonly files: BundleFiles;
}

/** File names inside bundles. */
export const ADAPTER_CONFIG = 'adapter_config.json';

/** Bundle of branches over a base (`lowrank`), or of all weights (`full`). Equal results and facts give equal bytes. */
export function classifierBundle(
  trained: TrainedClassifier,
  labels: readonly string[],
  base: TrainingBase,
  settings: HyperParameters,
  facts: ClassifierFacts,
): UnwrittenBundle {
  const isLowRank = trained.factors.length > 0;
  const { manifest: of } = base;
  const headCount = labels.length * (base.read.config.hiddenSize + 1);
  const branchCount = trained.factors.reduce(
    (sum, { rank, inputs, outputs }) => sum + rank * (inputs + outputs),
    0,
  );
  const manifest: Omit<ExpertManifest, 'files'> = {
    schemaVersion: MANIFEST_SCHEMA_VERSION,
    name: facts.name,
    version: facts.version,
    kind: isLowRank ? 'lowrank' : 'full',
    task: 'text-classification',
    description: facts.description,
    ...(isLowRank ? { base: { name: of.name, digest: base.digest } } : {}),
    labels: [...labels],
    maxTokens: of.maxTokens,
    parameterCount: of.parameterCount + headCount + branchCount,
    flopsPerToken: of.flopsPerToken + 2 * branchCount,
    precision: isLowRank ? 'float16' : 'float32',
    licence: facts.licence,
    trainingData: [...facts.trainingData],
    lineage: {
      recipe: recipeOf(isLowRank ? 'lora' : 'full', settings, trained),
      parents: [{ name: of.name, version: of.version, digest: base.digest }],
      seed: facts.seed,
    },
    evaluation: [
      evaluationRow(
        facts.datasets.validation,
        'validation',
        'accuracy',
        trained.validation.accuracy,
        trained.validation.n,
        facts.date,
      ),
      ...evaluationRows(facts.datasets.test, 'test', trained.test, facts.date),
    ],
    trust: { signed: false, scanned: true, backdoorTested: false },
    releaseDate: facts.date,
  };
  return {
    manifest,
    files: isLowRank
      ? { ...branchFiles(trained.factors, base, settings), 'head.safetensors': headFile(trained, base) }
      : fullFiles(trained, base),
  };
}

function recipeOf(method: string, settings: HyperParameters, { outcome }: TrainedClassifier): string {
  const { epochs, rate, headRate, schedule, rank, alpha, rowsPerBatch, maxTokens } = settings;
  const branches = method === 'full' ? '' : `, rank ${rank}, alpha ${alpha}`;
  return `${method}: AdamW, ${epochs} epochs, rate ${rate}, head ${headRate} from a probe, ${schedule}${branches}, batch ${rowsPerBatch}, ${maxTokens} tokens, ${outcome.state.optimiser.step} steps`;
}

/** Branches in PEFT's layout (LoRA over a feature extractor). */
export function branchFiles(
  factors: readonly LowRankFactors[],
  base: TrainingBase,
  { rank, alpha }: Pick<HyperParameters, 'rank' | 'alpha'>,
): BundleFiles {
  const adapter: Record<string, ReturnType<typeof float16Tensor>> = {};
  for (const { layer, a, b, inputs, outputs, rank: own } of factors) {
    adapter[`base_model.model.${layer}.lora_A.weight`] = float16Tensor([own, inputs], a);
    adapter[`base_model.model.${layer}.lora_B.weight`] = float16Tensor([outputs, own], b);
  }
  const config = {
    base_model_name_or_path: base.manifest.name,
    bias: 'none',
    fan_in_fan_out: false,
    inference_mode: true,
    lora_alpha: alpha,
    lora_dropout: 0,
    peft_type: 'LORA',
    r: rank,
    target_modules: ['query', 'key', 'value', 'dense'],
    task_type: 'FEATURE_EXTRACTION',
  };
  return {
    'adapter.safetensors': writeSafetensors(adapter),
    [ADAPTER_CONFIG]: new TextEncoder().encode(`${JSON.stringify(config, null, 2)}\n`),
  };
}

function headFile({ head }: TrainedClassifier, base: TrainingBase): Uint8Array {
  const classes = head.bias.length;
  return writeSafetensors({
    'head.weight': float16Tensor([classes, base.read.config.hiddenSize], head.weights),
    'head.bias': float16Tensor([classes], head.bias),
  });
}

function fullFiles(trained: TrainedClassifier, base: TrainingBase): BundleFiles {
  const { config } = base.read;
  const classes = trained.head.bias.length;
  const head = {
    weights: transposed(trained.head.weights, classes, config.hiddenSize),
    bias: trained.head.bias,
  };
  const weights = trainedWeights(base.read.weights, trained.weights);
  return {
    'model.onnx': encodeModel(classifierGraph(config, weights, head)),
    'tokenizer.json': base.tokenizerJson,
  };
}
