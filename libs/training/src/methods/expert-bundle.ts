import {
  lowRankFiles,
  MANIFEST_SCHEMA_VERSION,
  type BundleFiles,
  type ExpertManifest,
} from '@thalamus/bundle';
import { encodeModel } from '@thalamus/onnx-graph';
import { classifierGraph } from '../graphs/encoder-graph.js';
import { transposed } from '../graphs/fold-branches.js';
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

/** Bundle of low-rank factors over a base (`lowrank`), or of all weights (`full`). Equal results and facts give equal bytes. */
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
      recipe: recipeOf(settings, trained),
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
  return { manifest, files: isLowRank ? deltaFiles(trained, base, settings) : fullFiles(trained, base) };
}

function recipeOf(settings: HyperParameters, { method, outcome }: TrainedClassifier): string {
  const { epochs, rate, headRate, headScale, schedule, rank, alpha, rowsPerBatch, maxTokens } = settings;
  const branches = {
    full: '',
    lora: `, rank ${rank}, alpha ${alpha}`,
    svd: `, all weights, then rank ${rank} of what each linear layer changed by`,
  }[method];
  return `${method}: AdamW, ${epochs} epochs, rate ${rate}, head ${headRate} from a probe${headScale === 1 ? '' : ` times ${headScale}`}, ${schedule}${branches}, batch ${rowsPerBatch}, ${maxTokens} tokens, ${outcome.state.optimiser.step} steps`;
}

function deltaFiles(
  { method, factors, head }: TrainedClassifier,
  base: TrainingBase,
  { rank, alpha }: Pick<HyperParameters, 'rank' | 'alpha'>,
): BundleFiles {
  const { weights, bias } = head;
  return lowRankFiles({
    baseName: base.manifest.name,
    factors,
    rank,
    // Factors that were taken out of weights have the scale 1.
    alpha: method === 'svd' ? rank : alpha,
    head: { task: 'text-classification', weights, bias },
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
