import type { RouterEvaluationReport } from '@thalamus/bundle';
import { calibrationFigures } from '../../calibration/reliability.js';
import { groupedBootstrap } from '../grouped-bootstrap.js';
import { judgeRouter, type RouterJudgement, type RouterTrial } from '../judge-router.js';
import { columnMeans, lossMatrix } from '../loss-matrix.js';
import { choicesOf, lossesOf, oracleLosses } from '../routed-choices.js';
import { bestExperts } from './neighbour-agreement.js';
import { promptMap, type PromptSpace } from './prompt-map.js';

/** What a report says beside the figures. */
export interface ReportFacts {
  readonly dataset: string;
  readonly split: RouterEvaluationReport['split'];
  readonly fitted: boolean;
  readonly date: string;
  readonly notes: readonly string[];
}

/** A judged router with the spaces of its map. */
export interface ReportedTrial {
  readonly trial: RouterTrial;
  readonly facts: ReportFacts;
  /** Rows of the trial that the map shows, by index (`mapRows`). */
  readonly mapped: readonly number[];
  /** Vectors of those rows; the space `losses` is added here. */
  readonly spaces: readonly PromptSpace[];
}

/** Most bins of the reliability picture, and least predictions of one: with fewer, chance is all that it shows. */
const BINS = 15;
const LEAST_OF_BIN = 25;
/** Names of baselines that always take the same expert. */
const SAME_CHOICE = ['majority', 'bestSingle'] as const;

/** The report of a router on measured prompts: figures and places, no text. */
export function evaluationReport({ trial, facts, mapped, spaces }: ReportedTrial): RouterEvaluationReport {
  const { manifest, rows, predicted } = trial;
  const experts = manifest.candidates.map(({ expert }) => expert);
  const candidates = experts.length;
  const measured = lossMatrix(rows, candidates);
  const chosen = choicesOf({ predicted, measured, candidates });
  const judged = judgeRouter(trial);
  const losses = mapped.flatMap((row) =>
    Array.from({ length: candidates }, (_, k) => predicted[row * candidates + k]!),
  );
  return {
    schemaVersion: 1,
    router: manifest.name,
    version: manifest.version,
    lossUnit: manifest.lossUnit,
    dataset: facts.dataset.slice(0, 200),
    split: facts.split,
    n: rows.length,
    fitted: facts.fitted,
    date: facts.date,
    experts,
    figures: figuresOf(trial, judged, measured, chosen),
    baselines: baselinesOf(trial, judged),
    choices: sharesOf(trial, chosen),
    reliability: reliabilityOf(trial, measured, chosen),
    pareto: paretoOf(trial, judged, measured),
    map: promptMap({
      rows: mapped.map((row) => rows[row]!),
      chosen: mapped.map((row) => chosen[row]!),
      spaces: [...spaces, { space: 'losses', vectors: Float32Array.from(losses), dimension: candidates }],
      seed: trial.seed,
    }),
    notes: facts.notes.slice(0, 16).map((note) => note.slice(0, 500)),
  };
}

/** Quality as a loss: 1 - quality where losses are errors, else - quality. */
const lossOf = (quality: number, { manifest }: RouterTrial) =>
  short((manifest.lossUnit === 'error' ? 1 : 0) - quality);

function figuresOf(
  trial: RouterTrial,
  judged: RouterJudgement,
  measured: Float64Array,
  chosen: Int32Array,
): RouterEvaluationReport['figures'] {
  const { manifest, rows, seed } = trial;
  const candidates = manifest.candidates.length;
  const groups = rows.map(({ doc }, at) => doc ?? String(at));
  const least = oracleLosses(measured, candidates);
  const isBest = lossesOf(chosen, measured, candidates).map((loss, row) =>
    loss <= least[row]! + 1e-9 ? 1 : 0,
  );
  const [worst, best] = judged.intervals['quality'] ?? [judged.quality, judged.quality];
  return {
    loss: { value: lossOf(judged.quality, trial), interval: [lossOf(best, trial), lossOf(worst, trial)] },
    regret: { value: short(judged.regret), interval: pair(judged.intervals['regret']) },
    top1: { value: short(judged.top1), interval: pair(groupedBootstrap(isBest, groups, seed)) },
    coverage: short(judged.coverage),
    targetCoverage: manifest.calibration.coverage,
    brier: judged.brier === null ? null : short(judged.brier),
    cost: judged.meanCost === null ? null : short(judged.meanCost),
  };
}

/** Best first, the oracle before all. */
function baselinesOf(trial: RouterTrial, judged: RouterJudgement): RouterEvaluationReport['baselines'] {
  const always: Readonly<Record<string, string | undefined>> = Object.fromEntries(
    SAME_CHOICE.map((name) => [name, trial.manifest.baselines?.[name]]),
  );
  return Object.entries(judged.baselines)
    .filter(([name]) => always[name] !== undefined || !SAME_CHOICE.some((same) => same === name))
    .sort(([, a], [, b]) => b - a)
    .map(([name, quality]) => {
      const cost = judged.baselineCosts?.[name];
      return {
        name,
        expert: always[name] ?? null,
        loss: lossOf(quality, trial),
        regret: short(judged.oracle - quality),
        behind: pair(judged.intervals[`qualityOver.${name}`]),
        cost: cost === undefined ? null : short(cost),
      };
    });
}

function sharesOf({ manifest, rows }: RouterTrial, chosen: Int32Array): RouterEvaluationReport['choices'] {
  const best = rows.map(({ losses }) => bestExperts(losses));
  return manifest.candidates.map(({ expert }, k) => ({
    expert,
    chosen: short(chosen.filter((own) => own === k).length / rows.length),
    best: short(best.filter((set) => set === undefined || set.has(k)).length / rows.length),
  }));
}

function reliabilityOf(
  { predicted, raw, manifest }: RouterTrial,
  measured: Float64Array,
  chosen: Int32Array,
): RouterEvaluationReport['reliability'] {
  const candidates = manifest.candidates.length;
  const all = Array.from(measured.keys());
  const taken = Array.from(chosen, (k, row) => row * candidates + k);
  const isRecalibrated = raw !== undefined && manifest.calibration.recalibration !== undefined;
  const series = [
    { of: 'all', places: all, said: predicted },
    { of: 'chosen', places: taken, said: predicted },
    ...(isRecalibrated ? [{ of: 'uncalibrated', places: all, said: raw } as const] : []),
  ] as const;
  return series.map(({ of, places, said }) => {
    const known = places.filter((at) => !Number.isNaN(measured[at]!));
    const { debiased, bins } = calibrationFigures(
      {
        predicted: Float64Array.from(known, (at) => said[at]!),
        measured: Float64Array.from(known, (at) => measured[at]!),
      },
      Math.max(1, Math.min(BINS, Math.floor(known.length / LEAST_OF_BIN))),
    );
    return {
      of,
      calibrationError: short(debiased),
      bins: bins.map(({ n, predicted: mean, measured: found, error }) => ({
        n,
        predicted: short(mean),
        measured: short(found),
        error: Number.isFinite(error) ? short(error) : null,
      })),
    };
  });
}

function paretoOf(
  trial: RouterTrial,
  judged: RouterJudgement,
  measured: Float64Array,
): RouterEvaluationReport['pareto'] {
  const { candidates } = trial.manifest;
  const prices = candidates.map(({ properties }) => properties?.['cost']);
  const isPriced = judged.meanCost !== null;
  if (judged.pareto.length === 0 || (isPriced && new Set(prices).size === 1)) return null;
  const means = columnMeans(measured, candidates.length);
  const strong = judged.bestSingleModel;
  return {
    axis: isPriced ? 'usdPerMillionTokens' : 'strongShare',
    points: judged.pareto.map(({ lambda, meanCost, strongShare, quality }) => ({
      weight: lambda ?? null,
      cost: short(meanCost ?? strongShare ?? 0),
      loss: lossOf(quality, trial),
    })),
    experts: candidates.map(({ expert }, k) => ({
      expert,
      cost: isPriced ? prices[k]! : expert === strong ? 1 : 0,
      loss: short(means[k]!),
    })),
  };
}

const pair = (interval: readonly [number, number] | undefined): [number, number] | null =>
  interval === undefined ? null : [short(interval[0]), short(interval[1])];

const short = (value: number) => Number(value.toFixed(6));
