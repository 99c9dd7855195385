import type { LowRankFactors } from '@thalamus/bundle';
import type { TrainingMethod } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { graphOf, type OnnxModel } from '@thalamus/onnx-graph';
import { createRandom, decodeFloat16, encodeFloat16, tensor } from '@thalamus/tensor';
import type { ClassificationMetrics } from '../classification-metrics.js';
import { mixSeed } from '../data/mix-seed.js';
import { trainingBatches } from '../data/token-batches.js';
import { GradientSession } from '../graphs/gradient-session.js';
import { CLASSIFIER_HEAD, TRAINING_VALUES, classifierGraph } from '../graphs/encoder-graph.js';
import { extractLowRank } from '../graphs/extract-low-rank.js';
import { foldBranches, transposed } from '../graphs/fold-branches.js';
import { addLowRankBranches, branchFactors, type LowRankBranch } from '../graphs/low-rank-branches.js';
import { parametersOf } from '../graphs/with-inputs.js';
import type { Parameter, Parameters } from '../loop/adamw.js';
import { trainLoop, type LoopHooks, type TrainingOutcome } from '../loop/train-loop.js';
import type { LinearHead } from '../softmax-regression.js';
import type { TrainingBase } from '../training-base.port.js';
import { ClassifierModel, parameterFeeds, tokenFeeds, type ClassifiedTokens } from './classifier-model.js';
import type { HyperParameters } from './hyper-parameters.js';
import { trainedWeights } from './trained-weights.js';

/** Methods that train more than a head. */
export type ClassifierMethod = Exclude<TrainingMethod, 'probe'>;

/** What a classifier is trained on. */
export interface ClassifierRun {
  readonly base: TrainingBase;
  readonly method: ClassifierMethod;
  readonly train: ClassifiedTokens;
  readonly validation: ClassifiedTokens;
  /** Judges the result; nothing is chosen by it. */
  readonly test: ClassifiedTokens;
  /** Where the head starts: [classes, hidden], as a probe on the same rows. */
  readonly head: LinearHead;
  readonly settings: HyperParameters;
  readonly seed: number;
}

/** A trained classifier, its values rounded as they will be stored. */
export interface TrainedClassifier {
  readonly method: ClassifierMethod;
  readonly outcome: TrainingOutcome;
  /** Factors of the branches, or of what all weights changed by; empty for all weights. */
  readonly factors: readonly LowRankFactors[];
  /** All weights, by name and in the graph's layout; empty where there are factors. */
  readonly weights: Parameters;
  /** [classes, hidden] */
  readonly head: LinearHead;
  readonly validation: ClassificationMetrics;
  readonly test: ClassificationMetrics;
}

/** A run that is set up: the graph, its parameters, and where it is resumed. */
export interface PreparedClassifier {
  readonly parameters: Parameters;
  /** Trains to the end, or to an interruption: then undefined. @throws TRAINING_DIVERGED */
  run(hooks: LoopHooks): Promise<TrainedClassifier | undefined>;
}

/**
 * Sets up fine-tuning with cross-entropy: `lora` trains low-rank branches beside every linear layer and the head, `full`
 * every weight, `svd` every weight, of which factors of a low rank are kept. The head starts as the probe times `headScale`,
 * so that training starts at the probe's accuracy.
 */
export function prepareClassifier(run: ClassifierRun): PreparedClassifier {
  const { base, head, seed } = run;
  const { config, weights } = base.read;
  const classes = head.bias.length;
  const scaled = (values: Float32Array) => values.map((value) => value * run.settings.headScale);
  const start = {
    weights: scaled(transposed(head.weights, classes, config.hiddenSize)),
    bias: scaled(head.bias),
  };
  const plain = classifierGraph(config, weights, start);
  const { model, branches } =
    run.method === 'lora'
      ? addLowRankBranches(plain, { ...run.settings, random: createRandom(mixSeed(seed, 1)) })
      : { model: plain, branches: [] };
  const names = trainableNames(model, branches);
  const parameters = parametersOf(model, names);
  return { parameters, run: (hooks) => train(run, { model, branches, names, parameters, classes }, hooks) };
}

interface Prepared {
  readonly model: OnnxModel;
  readonly branches: readonly LowRankBranch[];
  readonly names: ReadonlySet<string>;
  readonly parameters: Parameters;
  readonly classes: number;
}

async function train(
  run: ClassifierRun,
  prepared: Prepared,
  hooks: LoopHooks,
): Promise<TrainedClassifier | undefined> {
  const { base, settings } = run;
  const { model, names, parameters, classes } = prepared;
  const gradients = await GradientSession.open(base.runtime, model, names, base.threads);
  const forward = await ClassifierModel.open(base.runtime, model, names, base.threads);
  try {
    const outcome = await trainLoop(
      {
        parameters,
        groupOf: groups(settings),
        batchesOf: (epoch) =>
          trainingBatches(
            run.train.ids.map(({ length }) => length),
            { ...settings, seed: run.seed, epoch },
          ),
        computeBatch: async (rows) => {
          const labels = BigInt64Array.from(rows, (row) => BigInt(run.train.classes[row]!));
          const feeds = {
            ...tokenFeeds(run.train.ids, rows),
            [TRAINING_VALUES.labels]: tensor('int64', [rows.length], labels),
          };
          return { ...(await gradients.compute(feeds, parameterFeeds(parameters))), items: rows.length };
        },
        tokensOf: (row) => run.train.ids[row]!.length,
        validate: async () => {
          const { accuracy, logLoss } = await forward.measure(run.validation, parameters, settings, classes);
          return { score: [accuracy, -logLoss], figures: { accuracy, logLoss } };
        },
      },
      settings,
      hooks,
    );
    if (outcome.kind === 'interrupted') return undefined;
    return await finish(run, prepared, forward, outcome);
  } finally {
    await gradients.release();
    await forward.release();
  }
}

/** The best parameters, rounded as they will be stored, and what they give on the validation and the test rows. */
async function finish(
  run: ClassifierRun,
  prepared: Prepared,
  forward: ClassifierModel,
  outcome: TrainingOutcome,
): Promise<TrainedClassifier> {
  const { branches, parameters, classes } = prepared;
  const { best } = outcome.state;
  if (!best) throw new ThalamusError('INTERNAL', 'Training ended without a validation.');
  const isBranches = branches.length > 0;
  for (const [name, { data }] of parameters) {
    const isStoredHalf = isBranches || name in HEAD_NAMES;
    data.set(isStoredHalf ? rounded(best.get(name)!) : best.get(name)!);
  }
  const value = (name: string) => parameters.get(name)!.data;
  const { rank } = run.settings;
  const extracted = run.method === 'svd' ? await extract(run, prepared) : undefined;
  const measured = extracted?.parameters ?? parameters;
  const ofBranches = branchFactors(branches, parameters, rank);
  return {
    method: run.method,
    outcome,
    factors: extracted?.factors ?? ofBranches,
    weights:
      run.method === 'full' ? new Map([...parameters].filter(([name]) => !(name in HEAD_NAMES))) : new Map(),
    head: {
      weights: transposed(value(CLASSIFIER_HEAD.weight), run.base.read.config.hiddenSize, classes),
      bias: value(CLASSIFIER_HEAD.bias),
    },
    validation: await forward.measure(run.validation, measured, run.settings, classes),
    test: await forward.measure(run.test, measured, run.settings, classes),
  };
}

/** Factors of what the trained weights changed by, rounded as they will be stored, and the parameters that they stand for. */
async function extract({ base, settings, seed }: ClassifierRun, { model, names, parameters }: Prepared) {
  const { weights } = base.read;
  const tuned = trainedWeights(weights, parameters);
  const exact = await extractLowRank(weights, tuned, { rank: settings.rank, seed: mixSeed(seed, 2) });
  const factors = exact.map((each) => ({ ...each, a: rounded(each.a), b: rounded(each.b) }));
  const folded = foldBranches(weights, factors, 1);
  // What is not in the factors is the base's, but for the head.
  const result = new Map<string, Parameter>(parametersOf(model, names));
  for (const name of Object.keys(HEAD_NAMES)) result.set(name, parameters.get(name)!);
  for (const { layer, inputs, outputs } of factors) {
    const name = `${layer}.weight`;
    const data = transposed(folded.get(name)!.data, outputs, inputs);
    result.set(name, { shape: [inputs, outputs], data });
  }
  return { factors, parameters: result };
}

const HEAD_NAMES: Readonly<Record<string, true>> = {
  [CLASSIFIER_HEAD.weight]: true,
  [CLASSIFIER_HEAD.bias]: true,
};

function trainableNames(model: OnnxModel, branches: readonly LowRankBranch[]): ReadonlySet<string> {
  const head = Object.keys(HEAD_NAMES);
  if (branches.length > 0) return new Set([...branches.flatMap(({ down, up }) => [down, up]), ...head]);
  const isWeight = (name: string) => /^(embeddings|encoder)\..*\.(weight|bias)$/.test(name);
  return new Set([
    ...graphOf(model)
      .initializer.map(({ name }) => name)
      .filter(isWeight),
    ...head,
  ]);
}

/** The head has a rate of its own; vectors (biases, norms) do not decay. */
function groups({ rate, headRate, decay }: HyperParameters) {
  return (name: string) => {
    const isVector = name.endsWith('.bias') || name.includes('LayerNorm');
    return { rateFactor: name in HEAD_NAMES ? headRate / rate : 1, decay: isVector ? 0 : decay };
  };
}

function rounded(values: Float32Array): Float32Array {
  return decodeFloat16(encodeFloat16(values));
}
