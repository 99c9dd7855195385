import { ThalamusError } from '@thalamus/errors';
import type { FeatureSpec, LossHeads, RiskRows, StageGate } from '@thalamus/routing';
import type { TrainingBase } from '../training-base.port.js';
import type { LearnerChoice } from './choose-learner.js';
import { marginOf, withMargin, type MarginChoice } from './choose-margin.js';
import type { ThresholdChoice } from './choose-threshold.js';
import { fitCalibration, regionsOf, type FittedCalibration } from './fit-calibration.js';
import { fitCascade } from './fit-cascade.js';
import { fitStage } from './fit-stage.js';
import { FEATURE_SETTINGS, featuresOf, fitFeatures, type FeatureSettings } from './fitted-features.js';
import { LEARNERS, type LearnerFamily } from './learners.js';
import { columnMeans, lossMatrix } from './loss-matrix.js';
import {
  preparePrompts,
  ROUTER_ENCODERS,
  wordsOf,
  type PrepareOptions,
  type RouterEncoder,
} from './prepare-prompts.js';
import { oracleLosses } from './routed-choices.js';
import { riskRows } from './risk-rows.js';
import { choiceCosts, costScalesOf, propertiesOf } from './router-costs.js';
import { MIN_USABLE_ROWS, type RoutingTable } from './routing-table.js';
import { foldsOf, splitParts, splitRule, type SplitPart, type TableSplitRule } from './table-split.js';

/** What a router is trained with. */
export interface RouterTraining {
  readonly table: RoutingTable;
  readonly base: TrainingBase;
  readonly encoder: RouterEncoder;
  readonly seed: number;
  /** Shares of the table. */
  readonly validation: number;
  readonly test: number;
  /** Sizes of the static tables; `FEATURE_SETTINGS` when absent. */
  readonly tables?: Pick<FeatureSettings, 'tokenWidth' | 'gramRows' | 'gramWidth'>;
  /** What is tried; all when absent. */
  readonly learners?: readonly LearnerFamily[];
  /**
   * Model that every prompt goes to unless another is better by a margin, which is chosen and goes into the heads; none when absent. Losses
   * are errors then, no map is fitted to them, and there is one stage.
   */
  readonly preferred?: string;
}

/** Stages of a training. */
export type RouterStage = 'embedding' | 'features' | 'choosing' | 'fitting';

/** How a training is watched. */
export interface RouterHooks {
  readonly onProgress?: (stage: RouterStage, done: number, total: number) => void | Promise<void>;
  readonly embed?: PrepareOptions['embed'];
}

/** A fitted router. */
export interface TrainedRouter {
  readonly encoder: RouterEncoder;
  /** Names of the candidates. */
  readonly experts: readonly string[];
  readonly spec: FeatureSpec;
  readonly heads: LossHeads;
  readonly split: TableSplitRule;
  /** Rows of each part. */
  readonly counts: Readonly<Record<SplitPart, number>>;
  readonly choice: LearnerChoice;
  /** Where one model is preferred. */
  readonly margin: MarginChoice | undefined;
  /** Of a cascade. */
  readonly second: TrainedSecondStage | undefined;
  /** From rows that the heads were not fitted on; of a cascade, of the losses of whichever stage decides. */
  readonly calibration: FittedCalibration;
  /** From the same rows. */
  readonly riskRows: RiskRows;
  /** Candidate with the least mean loss of the fitted rows, and the one that was most often the best. */
  readonly bestSingle: number;
  readonly majority: number;
}

/** The second stage of a cascade, and when it decides. */
export interface TrainedSecondStage {
  readonly spec: FeatureSpec;
  readonly heads: LossHeads;
  readonly choice: LearnerChoice;
  readonly gate: StageGate;
  readonly thresholds: ThresholdChoice;
}

/** Share of measured losses that the intervals hold. */
export const COVERAGE = 0.9;
/** Folds of the choice. */
const FOLDS = 5;
/**
 * Trains a router on a table. Learner and settings are chosen by cross-validation over the train and validation parts, then
 * fitted on both; calibration and intervals come from predictions by heads that had not seen the row. A cascade has two such
 * stages over the same rows. The test part is not read. Deterministic for a seed.
 * @throws DATASET_INVALID when the parts are too small
 */
export async function trainRouter(training: RouterTraining, hooks: RouterHooks = {}): Promise<TrainedRouter> {
  const { table, base, encoder, seed, learners = LEARNERS } = training;
  const split = splitRule(table.rows, { seed, validation: training.validation, test: training.test });
  const parts = splitParts(table.rows, split);
  const rows = table.rows.filter((_, at) => parts[at] !== 'test');
  if (rows.length < MIN_USABLE_ROWS) throw tooFew(rows.length, split);
  const kinds = ROUTER_ENCODERS[encoder];
  const texts = rows.map(({ prompt }) => prompt);
  const prompts = await preparePrompts(base, texts, kinds, {
    ...(hooks.embed ? { embed: hooks.embed } : {}),
    onProgress: (done, total) => void hooks.onProgress?.('embedding', done, total),
  });
  await hooks.onProgress?.('features', 0, 1);
  const whole = fitFeatures(prompts, wordsOf(base), {
    ...(training.tables ?? FEATURE_SETTINGS),
    kinds,
    seed,
  });
  const candidates = table.models.length;
  const losses = lossMatrix(rows, candidates);
  const means = meansOf(losses, table);
  const scales = costScalesOf(table.models);
  const shared = {
    losses,
    candidates,
    folds: foldsOf(rows, split, FOLDS),
    costs: choiceCosts(table.models.map(propertiesOf), scales, means),
  };
  const stages = encoder === 'cascade' ? 2 : 1;
  const stage = (spec: FeatureSpec, at: number) => {
    const fit = { learners, seed, onChosen: () => hooks.onProgress?.('fitting', at, stages) };
    const features = featuresOf(prompts, spec);
    return fitStage({ ...shared, features, dimension: features.length / rows.length }, fit, {
      onStep: (done, total) => hooks.onProgress?.('choosing', at * total + done, stages * total),
    });
  };
  const spec = encoder === 'cascade' ? withoutGraph(whole) : whole;
  const fitted = await stage(spec, 0);
  const margin = marginOf(training, fitted);
  const first = withMargin(fitted, margin);
  const facts = { unit: table.unit, coverage: COVERAGE, seed };
  const second = encoder === 'cascade' ? await stage(whole, 1) : undefined;
  const cascade = second && fitCascade({ first, second, ...facts });
  const calibration =
    cascade?.calibration ??
    fitCalibration({
      rows: first.judged,
      predicted: first.predicted,
      regions: regionsOf(first.judged, seed),
      // A map would bring what the margin adds back to what was measured.
      isMapped: margin === undefined,
      ...facts,
    });
  return {
    encoder,
    experts: table.models.map(({ expert }) => expert),
    spec,
    heads: first.heads,
    split,
    counts: countsOf(parts),
    choice: first.choice,
    margin,
    second:
      second && cascade ? { spec: whole, heads: second.heads, choice: second.choice, ...cascade } : undefined,
    calibration,
    riskRows: riskRows({
      predicted: calibration.outOfFold,
      measured: first.judged.losses,
      candidates,
      unit: table.unit,
      seed,
    }),
    bestSingle: least(means),
    majority: majorityOf(losses, candidates),
  };
}

/** The parts that need no graph. */
function withoutGraph(spec: FeatureSpec): FeatureSpec {
  return { ...spec, blocks: spec.blocks.filter(({ kind }) => kind !== 'sentence') };
}

/** Mean loss of each model. @throws DATASET_INVALID for a model without a result */
function meansOf(losses: Float64Array, { models }: RoutingTable): Float64Array {
  const means = columnMeans(losses, models.length);
  const without = models.find((_, k) => Number.isNaN(means[k]!));
  if (!without) return means;
  throw new ThalamusError(
    'DATASET_INVALID',
    `The table has no result of the model "${without.name}" in the rows to fit on; measure it, or take it out of the table.`,
  );
}

function majorityOf(losses: Float64Array, candidates: number): number {
  const wins = new Float64Array(candidates);
  const oracle = oracleLosses(losses, candidates);
  losses.forEach((loss, at) => {
    if (loss <= oracle[Math.floor(at / candidates)]!) wins[at % candidates]! -= 1;
  });
  return least(wins);
}

function least(values: Float64Array): number {
  return values.indexOf(Math.min(...values));
}

function countsOf(parts: readonly SplitPart[]): Record<SplitPart, number> {
  const counts = { train: 0, validation: 0, test: 0 };
  for (const part of parts) counts[part] += 1;
  return counts;
}

function tooFew(rows: number, { by }: TableSplitRule): ThalamusError {
  return new ThalamusError(
    'DATASET_INVALID',
    `Once the test part is set aside (by ${by}), ${rows} rows are left; a router is fitted on ${MIN_USABLE_ROWS} or more. Measure more prompts.`,
  );
}
