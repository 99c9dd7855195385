import { checkLowRankFits, type LowRankAdapter, type LowRankFactors } from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import { createRandom, decodeFloat16, encodeFloat16, tensor } from '@thalamus/tensor';
import { mixSeed } from '../data/mix-seed.js';
import { trainingBatches } from '../data/token-batches.js';
import { CLASSIFIER_HEAD, TRAINING_VALUES, classifierGraph } from '../graphs/encoder-graph.js';
import { transposed } from '../graphs/fold-branches.js';
import { GradientSession } from '../graphs/gradient-session.js';
import { addLowRankBranches, branchFactors, type LowRankBranch } from '../graphs/low-rank-branches.js';
import { parametersOf } from '../graphs/with-inputs.js';
import type { Parameters } from '../loop/adamw.js';
import { trainLoop, type LoopHooks, type TrainingOutcome } from '../loop/train-loop.js';
import {
  ClassifierModel,
  parameterFeeds,
  tokenFeeds,
  type ClassifiedTokens,
} from '../methods/classifier-model.js';
import type { HyperParameters } from '../methods/hyper-parameters.js';
import { classificationMetrics } from '../classification-metrics.js';
import type { LinearHead } from '../softmax-regression.js';
import type { TrainingBase } from '../training-base.port.js';
import { REPAIR_ARMS, type RepairArmName } from './repair-arms.js';
import { repairLoss, repairLossOf, teacherFeeds, type VersionAnswers } from './repair-loss.js';

/** Rows with what both versions answer to them. */
export interface TaughtTokens extends ClassifiedTokens {
  readonly answers: VersionAnswers;
}

/** The new version: where a repair begins, and whose shape it keeps. */
export interface AdapterStart {
  readonly adapter: LowRankAdapter;
  readonly head: LinearHead;
}

/** What an adapter is repaired with. */
export interface RepairRun {
  /** The new version's base. */
  readonly base: TrainingBase;
  /** Name of the new version, for messages. */
  readonly name: string;
  readonly start: AdapterStart;
  readonly arm: RepairArmName;
  readonly train: TaughtTokens;
  /** Chooses the pass that is kept, by the loss of the arm. */
  readonly validation: TaughtTokens;
  /** Judges the result; nothing is chosen by it. */
  readonly test: readonly (readonly number[])[];
  /** Rank and alpha are those of the adapter. */
  readonly settings: HyperParameters;
  readonly seed: number;
}

/** A repaired adapter, its values rounded as they will be stored. */
export interface TrainedRepair {
  readonly outcome: TrainingOutcome;
  readonly factors: readonly LowRankFactors[];
  readonly head: LinearHead;
  /** Log-probabilities of the validation and the test rows, [rows, classes]. */
  readonly validation: Float64Array;
  readonly test: Float64Array;
}

/** A repair that is set up. */
export interface PreparedRepair {
  readonly parameters: Parameters;
  /** Trains to the end, or to an interruption: then undefined. @throws TRAINING_DIVERGED */
  run(hooks: LoopHooks): Promise<TrainedRepair | undefined>;
}

interface Prepared {
  readonly model: ReturnType<typeof classifierGraph>;
  readonly branches: readonly LowRankBranch[];
  readonly parameters: Parameters;
}

/**
 * Sets up the training of an adapter that begins as the new version's, on the new version's base, with the loss of an arm. The
 * same rows, seed and settings give every arm the same batches and steps.
 * @throws BUNDLE_INVALID for an adapter that is for another base
 */
export function prepareRepair(run: RepairRun): PreparedRepair {
  const { base, start, name } = run;
  const { config, weights } = base.read;
  checkLowRankFits(name, start.adapter, weights);
  const classes = start.head.bias.length;
  const plain = classifierGraph(config, weights, {
    weights: transposed(start.head.weights, classes, config.hiddenSize),
    bias: start.head.bias.slice(),
  });
  const { rank, alpha, factors } = start.adapter;
  const { model, branches } = addLowRankBranches(plain, {
    rank,
    alpha,
    layers: new Set(factors.map(({ layer }) => layer)),
    random: createRandom(mixSeed(run.seed, 1)),
  });
  const names = new Set([
    ...branches.flatMap(({ down, up }) => [down, up]),
    CLASSIFIER_HEAD.weight,
    CLASSIFIER_HEAD.bias,
  ]);
  const parameters = parametersOf(model, names);
  const byLayer = new Map(factors.map((each) => [each.layer, each]));
  for (const { layer, down, up, inputs, outputs } of branches) {
    const { a, b } = byLayer.get(layer)!;
    parameters.get(down)!.data.set(transposed(a, rank, inputs));
    parameters.get(up)!.data.set(transposed(b, outputs, rank));
  }
  return { parameters, run: (hooks) => train(run, { model, branches, parameters }, hooks) };
}

async function train(
  run: RepairRun,
  prepared: Prepared,
  hooks: LoopHooks,
): Promise<TrainedRepair | undefined> {
  const { base, settings, validation } = run;
  const { model, parameters } = prepared;
  const names = new Set(parameters.keys());
  const arm = REPAIR_ARMS[run.arm];
  const width = run.start.head.bias.length;
  const gradients = await GradientSession.open(base.runtime, model, names, base.threads, repairLoss(arm));
  const forward = await ClassifierModel.open(base.runtime, model, names, base.threads);
  const lengths = run.train.ids.map(({ length }) => length);
  try {
    const outcome = await trainLoop(
      {
        parameters,
        groupOf: (name) => {
          const isHead = name === CLASSIFIER_HEAD.weight || name === CLASSIFIER_HEAD.bias;
          return {
            rateFactor: isHead ? settings.headRate / settings.rate : 1,
            decay: name === CLASSIFIER_HEAD.bias ? 0 : settings.decay,
          };
        },
        batchesOf: (epoch) => trainingBatches(lengths, { ...settings, seed: run.seed, epoch }),
        computeBatch: async (rows) => {
          const labels = BigInt64Array.from(rows, (row) => BigInt(run.train.classes[row]!));
          const feeds = {
            ...tokenFeeds(run.train.ids, rows),
            [TRAINING_VALUES.labels]: tensor('int64', [rows.length], labels),
            ...teacherFeeds(arm, run.train.answers, rows, width),
          };
          return { ...(await gradients.compute(feeds, parameterFeeds(parameters))), items: rows.length };
        },
        tokensOf: (row) => lengths[row]!,
        validate: async () => {
          const scores = await forward.logProbabilities(validation.ids, parameters, settings);
          const loss = repairLossOf(arm, scores, validation.answers, validation.classes);
          const { accuracy, logLoss } = classificationMetrics(scores, validation.classes, width);
          return { score: [-loss], figures: { accuracy, logLoss, repairLoss: loss } };
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

async function finish(
  { start, base, validation, test, settings }: RepairRun,
  { branches, parameters }: Prepared,
  forward: ClassifierModel,
  outcome: TrainingOutcome,
): Promise<TrainedRepair> {
  const { best } = outcome.state;
  if (!best) throw new ThalamusError('INTERNAL', 'A repair ended without a validation.');
  for (const [name, { data }] of parameters) data.set(decodeFloat16(encodeFloat16(best.get(name)!)));
  const value = (name: string) => parameters.get(name)!.data;
  return {
    outcome,
    factors: branchFactors(branches, parameters, start.adapter.rank),
    head: {
      weights: transposed(value(CLASSIFIER_HEAD.weight), base.read.config.hiddenSize, start.head.bias.length),
      bias: value(CLASSIFIER_HEAD.bias),
    },
    validation: await forward.logProbabilities(validation.ids, parameters, settings),
    test: await forward.logProbabilities(test, parameters, settings),
  };
}
