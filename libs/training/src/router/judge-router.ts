import type { RouterManifest } from '@thalamus/bundle';
import { costOf } from '@thalamus/routing';
import { groupedBootstrap } from './grouped-bootstrap.js';
import {
  judgedCalibration,
  judgedIntervals,
  type JudgedCalibration,
  type JudgedIntervals,
} from './judged-calibration.js';
import { lossMatrix } from './loss-matrix.js';
import { choicesOf, lossesOf, mean, oracleLosses, sameChoice } from './routed-choices.js';
import type { RoutingRow } from './routing-table.js';
import { strongWeakCurve, strongWeakFigures, type StrongWeakFigures } from './strong-weak.js';
import type { BaselinePredictions } from './table-baselines.js';

/** What is judged. */
export interface RouterTrial {
  readonly manifest: RouterManifest;
  /** Rows whose losses are in the order of the manifest's candidates. */
  readonly rows: readonly RoutingRow[];
  /** Losses that decisions read: [rows, candidates]. */
  readonly predicted: ArrayLike<number>;
  /** The same as the heads give them; `predicted` when absent. */
  readonly raw?: ArrayLike<number>;
  /** Region of each row; one for all when absent. */
  readonly regions?: ArrayLike<number>;
  /** Of the baselines that read fitted rows; absent for a table that the router was not fitted on. */
  readonly baselines?: BaselinePredictions | undefined;
  /** Of a cascade. */
  readonly stages?: StagePredictions | undefined;
  /** Of the bootstrap. */
  readonly seed: number;
}

/** What the stages of a cascade predict alone, as their heads give it: [rows, candidates]. */
export interface StagePredictions {
  /** Share of the rows that the second stage decides. */
  readonly share: number;
  readonly fast: ArrayLike<number>;
  readonly accurate: ArrayLike<number>;
}

/** One point of the curve of quality against cost. */
export interface ParetoPoint {
  /** Weight of the cost, in the loss unit. */
  readonly lambda?: number;
  readonly meanCost?: number;
  /** Share of calls to the better of two models. */
  readonly strongShare?: number;
  readonly quality: number;
}

/** Figures of a router on measured prompts. Quality is 1 - loss where losses are errors, else - loss. */
export interface RouterJudgement {
  readonly n: number;
  readonly quality: number;
  readonly oracle: number;
  readonly bestSingle: number;
  readonly bestSingleModel: string;
  readonly random: number;
  /** Share of prompts whose choice was as good as the best. */
  readonly top1: number;
  /** Mean loss beyond the least. */
  readonly regret: number;
  /** Debiased, of the losses that decisions read; null where losses are no errors. */
  readonly ece: number | null;
  readonly brier: number | null;
  readonly calibration: JudgedCalibration;
  /** Share of measured losses inside the intervals. */
  readonly coverage: number;
  readonly lossIntervals: JudgedIntervals;
  /** USD per million tokens; null where prices are not known. */
  readonly meanCost: number | null;
  /** Of a cascade: share of the prompts that needed the second stage. Its stages alone are `fastAlone` and `accurateAlone` of the baselines. */
  readonly secondShare?: number;
  readonly baselines: Readonly<Record<string, number>>;
  readonly baselineCosts: Readonly<Record<string, number>> | null;
  readonly pareto: readonly ParetoPoint[];
  /** RouteLLM's figures, of two models. */
  readonly strongWeak?: Readonly<Record<string, StrongWeakFigures>>;
  /** 95 % bootstrap intervals, by document where there are any. */
  readonly intervals: Readonly<Record<string, readonly [number, number]>>;
}

/** Cost weights of the curve, in the loss unit. */
const LAMBDAS = [0, ...Array.from({ length: 11 }, (_, at) => 2 ** (at - 7))];

/** Judges a router on rows. */
export function judgeRouter(trial: RouterTrial): RouterJudgement {
  const { manifest, rows, predicted, baselines, seed } = trial;
  const candidates = manifest.candidates.length;
  const measured = lossMatrix(rows, candidates);
  const routed = choicesOf({ predicted, measured, candidates });
  const choices = baselineChoices(trial, measured);
  const qualityOf = (chosen: Int32Array) => qualities(lossesOf(chosen, measured, candidates), manifest);
  const quality = qualityOf(routed);
  const oracle = qualities(oracleLosses(measured, candidates), manifest);
  const random = qualities(rowMeans(measured, candidates), manifest);
  const prices = pricesOf(manifest);
  const groups = rows.map(({ doc }, at) => doc ?? String(at));
  const interval = (values: Float64Array) => groupedBootstrap(values, groups, seed);
  const beyond = (chosen: Int32Array) => qualityOf(chosen).map((own, row) => quality[row]! - own);
  const costOfChoices = (chosen: Int32Array) => mean(Float64Array.from(chosen, (k) => prices![k]!));
  const { raw = predicted, regions = new Uint32Array(rows.length) } = trial;
  const calibration = judgedCalibration({ raw, predicted, measured, regions }, manifest);
  const lossIntervals = judgedIntervals({ raw, predicted, measured, regions }, manifest);
  const isError = manifest.lossUnit === 'error';
  const regret = oracle.map((best, row) => best - quality[row]!);
  return {
    n: rows.length,
    quality: mean(quality),
    oracle: mean(oracle),
    bestSingle: mean(qualityOf(choices['bestSingle']!)),
    bestSingleModel: manifest.baselines?.bestSingle ?? '',
    random: mean(random),
    top1: mean(regret.map((loss) => (loss <= 1e-9 ? 1 : 0))),
    regret: mean(regret),
    ece: isError ? calibration.after.ece : null,
    brier: isError ? calibration.after.brier : null,
    calibration,
    coverage: lossIntervals.coverage,
    lossIntervals,
    meanCost: prices ? costOfChoices(routed) : null,
    ...(trial.stages ? { secondShare: trial.stages.share } : {}),
    baselines: {
      random: mean(random),
      ...Object.fromEntries(Object.entries(choices).map(([name, chosen]) => [name, mean(qualityOf(chosen))])),
      oracle: mean(oracle),
    },
    baselineCosts: prices
      ? Object.fromEntries(Object.entries(choices).map(([name, chosen]) => [name, costOfChoices(chosen)]))
      : null,
    pareto: paretoOf(trial, measured, prices),
    ...(candidates === 2 ? { strongWeak: twoModelFigures(trial, measured) } : {}),
    intervals: {
      quality: interval(quality),
      regret: interval(regret),
      ...Object.fromEntries(
        Object.entries(choices).map(([name, chosen]) => [`qualityOver.${name}`, interval(beyond(chosen))]),
      ),
      ...(candidates === 2 && baselines ? advantageIntervals(trial, measured, groups) : {}),
    },
  };
}

/** Choices of the baselines that choose. */
function baselineChoices(
  { manifest, baselines, stages }: RouterTrial,
  measured: Float64Array,
): Record<string, Int32Array> {
  const candidates = manifest.candidates.length;
  const indexOf = (name: string | undefined) =>
    Math.max(
      0,
      manifest.candidates.findIndex(({ expert }) => expert === name),
    );
  const fallback = new Float64Array(candidates);
  const same = (name: string | undefined) => sameChoice(indexOf(name), measured, candidates, fallback);
  const by = (predicted: ArrayLike<number>) => choicesOf({ predicted, measured, candidates });
  return {
    majority: same(manifest.baselines?.majority),
    bestSingle: same(manifest.baselines?.bestSingle),
    ...(baselines
      ? {
          labelThenBest: by(baselines.labelThenBest),
          knn: by(baselines.knn),
          tfidfKnn: by(baselines.tfidfKnn),
        }
      : {}),
    ...(stages ? { fastAlone: by(stages.fast), accurateAlone: by(stages.accurate) } : {}),
  };
}

function qualities(losses: Float64Array, { lossUnit }: RouterManifest): Float64Array {
  return losses.map((loss) => (lossUnit === 'error' ? 1 : 0) - loss);
}

/** Mean loss over the candidates that have a result. */
function rowMeans(measured: Float64Array, candidates: number): Float64Array {
  return Float64Array.from({ length: measured.length / candidates }, (_, row) =>
    mean(measured.subarray(row * candidates, (row + 1) * candidates).filter((loss) => !Number.isNaN(loss))),
  );
}

/** USD per million tokens of each candidate; undefined unless all are known. */
function pricesOf({ candidates }: RouterManifest): Float64Array | undefined {
  const prices = candidates.map(({ properties }) => properties?.['cost']);
  return prices.every((price) => price !== undefined) ? Float64Array.from(prices) : undefined;
}

function paretoOf(
  trial: RouterTrial,
  measured: Float64Array,
  prices: Float64Array | undefined,
): ParetoPoint[] {
  const { manifest, predicted } = trial;
  const candidates = manifest.candidates.length;
  if (!prices) return candidates === 2 ? strongWeakCurve(twoModels(trial, measured, predicted), 20) : [];
  const costs = prices.map((price) => costOf(price, manifest.costScales['cost']!));
  return LAMBDAS.map((lambda) => {
    const chosen = choicesOf({ predicted, measured, candidates, costs, lambda });
    return {
      lambda,
      meanCost: mean(Float64Array.from(chosen, (k) => prices[k]!)),
      quality: mean(qualities(lossesOf(chosen, measured, candidates), manifest)),
    };
  });
}

/** Two models as strong and weak; the better one of the fitted rows is the strong one. Rows without both results are left out. */
function twoModels({ manifest }: RouterTrial, measured: Float64Array, predicted: ArrayLike<number>) {
  const strong = manifest.candidates[0]?.expert === manifest.baselines?.bestSingle ? 0 : 1;
  const rows = Array.from({ length: measured.length / 2 }, (_, row) => row).filter(
    (row) => !Number.isNaN(measured[2 * row]! + measured[2 * row + 1]!),
  );
  return {
    advantage: Float64Array.from(
      rows,
      (row) => predicted[2 * row + 1 - strong]! - predicted[2 * row + strong]!,
    ),
    strong: Float64Array.from(rows, (row) => 1 - measured[2 * row + strong]!),
    weak: Float64Array.from(rows, (row) => 1 - measured[2 * row + 1 - strong]!),
  };
}

function twoModelFigures(trial: RouterTrial, measured: Float64Array): Record<string, StrongWeakFigures> {
  const of = (predicted: ArrayLike<number>) => strongWeakFigures(twoModels(trial, measured, predicted));
  const { baselines } = trial;
  return {
    router: of(trial.predicted),
    ...(baselines
      ? {
          knn: of(baselines.knn),
          tfidfKnn: of(baselines.tfidfKnn),
          labelThenBest: of(baselines.labelThenBest),
        }
      : {}),
  };
}

/** Intervals of the APGR, and of how far it is above those of the baselines on the same prompts. */
function advantageIntervals(
  trial: RouterTrial,
  measured: Float64Array,
  groups: readonly string[],
): Record<string, readonly [number, number]> {
  const { baselines, predicted, seed } = trial;
  const apgr = (own: ArrayLike<number>) => (rows: readonly number[]) => {
    const pick = (values: ArrayLike<number>) =>
      Float64Array.from(rows.flatMap((row) => [values[2 * row]!, values[2 * row + 1]!]));
    return strongWeakFigures(twoModels(trial, pick(measured), pick(own))).apgr;
  };
  const router = apgr(predicted);
  const over = (own: Float64Array) => {
    const other = apgr(own);
    return groupedBootstrap((rows) => router(rows) - other(rows), groups, seed, CURVE_RESAMPLES);
  };
  return {
    apgr: groupedBootstrap(router, groups, seed, CURVE_RESAMPLES),
    ...(baselines
      ? { 'apgrOver.knn': over(baselines.knn), 'apgrOver.tfidfKnn': over(baselines.tfidfKnn) }
      : {}),
  };
}

const CURVE_RESAMPLES = 300;
