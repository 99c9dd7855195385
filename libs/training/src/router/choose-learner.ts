import { predictLosses, type LossHeads, type SingleLossHeads } from '@thalamus/routing';
import type { LossRows } from '../fit-linear-losses.js';
import { averageOf, type LearnerFamily } from './learners.js';
import { columnMeans, pickRows, withGuesses } from './loss-matrix.js';
import { choicesOf, lossesOf, mean, oracleLosses, standardError } from './routed-choices.js';

/** Rows that a choice is made on. */
export interface ChoiceRows {
  /** float32 [rows, dimension], each of length 1. */
  readonly features: Float32Array;
  readonly dimension: number;
  /** [rows, candidates]; NaN for no result. */
  readonly losses: Float64Array;
  readonly candidates: number;
  /** Fold of each row, from 0. */
  readonly folds: Uint8Array;
  /** Cost of each candidate, 0 to 1; what is not known is guessed from how good it is. */
  readonly costs: Float64Array;
}

/** One learner with one setting, judged on rows that it was not fitted on. */
export interface TriedLearner {
  readonly learner: string;
  readonly setting: string;
  readonly complexity: number;
  /** Mean loss beyond the least, at a cost weight of 0. */
  readonly regret: number;
  /** Mean over the cost weights of the loss with costs beyond the least: what the choice is made by. */
  readonly costRegret: number;
  /** How much worse than the best one, and the standard error of that difference. */
  readonly behind: number;
  readonly behindError: number;
  /** Predicted losses of the rows, each by heads that were not fitted on it: [rows, candidates]. */
  readonly predicted: Float64Array;
}

/** What was tried, and which one is taken. */
export interface LearnerChoice {
  readonly tried: readonly TriedLearner[];
  readonly chosen: TriedLearner;
  /** With the least cost regret. */
  readonly best: TriedLearner;
  /** One sentence. */
  readonly why: string;
  /** Cost weights that the regret is averaged over; the first is 0 and counts as much as the others together. */
  readonly lambdas: readonly number[];
}

/** Steps of a choice. */
export interface ChoiceHooks {
  readonly onStep?: (done: number, total: number) => void | Promise<void>;
}

/** Name of the averages. */
const AVERAGE = 'average';
/** Cost weights in units of the gap between the best and the worst candidate. */
const LAMBDA_STEPS = [0, 0.25, 0.5, 0.75, 1, 1.5, 2] as const;

/**
 * Judges every setting of every learner by cross-validation and takes the simplest that is within one standard error of the
 * best (Breiman and others 1984; here the error of the paired difference). Averages of the best setting of each learner are
 * judged too, and count as less simple than their parts.
 */
export async function chooseLearner(
  rows: ChoiceRows,
  learners: readonly LearnerFamily[],
  seed: number,
  hooks: ChoiceHooks = {},
): Promise<LearnerChoice> {
  const judge = judgeOf(rows);
  const foldCount = Math.max(...rows.folds) + 1;
  const judged: Judged[] = [];
  let done = 0;
  for (const learner of learners) {
    const outOfFold = learner.settings.map(() => new Float64Array(rows.losses.length));
    for (let fold = 0; fold < foldCount; fold++) {
      predictFold(rows, learner, fold, seed, outOfFold);
      done += 1;
      await hooks.onStep?.(done, learners.length * foldCount);
    }
    learner.settings.forEach((setting, at) =>
      judged.push({
        learner: learner.name,
        setting,
        complexity: learner.complexity + at / 100,
        ...judge.of(outOfFold[at]!),
      }),
    );
  }
  judged.push(...averages(judged, judge));
  return choiceOf(judged, judge.lambdas);
}

/** Heads of a choice, fitted on all rows. */
export function fitChosen(
  rows: ChoiceRows,
  learners: readonly LearnerFamily[],
  choice: TriedLearner,
  seed: number,
): LossHeads {
  const all: LossRows = { ...rows, losses: withGuesses(rows.losses, rows.candidates) };
  const parts = partsOf(choice).map(([name, setting]): SingleLossHeads => {
    const learner = learners.find((item) => item.name === name);
    const at = learner?.settings.indexOf(setting) ?? -1;
    if (!learner || at < 0) throw new Error(`No learner ${name} with ${setting} was tried.`);
    return learner.fit(all, seed)[at]!;
  });
  return parts.length === 1 ? parts[0]! : averageOf(parts);
}

/**
 * Slope and offset that bring predicted losses to measured ones: one slope for all candidates, so that what is said of a prompt
 * shrinks alike for all, and the mean of each candidate. Least squares on rows that the heads were not fitted on.
 */
export function recalibration(predicted: Float64Array, measured: Float64Array, candidates: number) {
  const known = Float64Array.from(predicted, (loss, at) => (Number.isNaN(measured[at]!) ? NaN : loss));
  const [predictedMeans, measuredMeans] = [columnMeans(known, candidates), columnMeans(measured, candidates)];
  let both = 0;
  let own = 0;
  known.forEach((loss, at) => {
    if (Number.isNaN(loss)) return;
    const beyond = loss - predictedMeans[at % candidates]!;
    both += beyond * (measured[at]! - measuredMeans[at % candidates]!);
    own += beyond * beyond;
  });
  const slope = own > 0 ? Math.max(0, both / own) : 1;
  return {
    slope: new Float64Array(candidates).fill(slope),
    offset: measuredMeans.map((loss, k) => loss - slope * predictedMeans[k]!),
  };
}

/** A tried learner before it is compared with the best. */
type Judged = Omit<TriedLearner, 'behind' | 'behindError'> & { readonly perRow: Float64Array };

function predictFold(
  rows: ChoiceRows,
  learner: LearnerFamily,
  fold: number,
  seed: number,
  into: readonly Float64Array[],
): void {
  const { dimension, candidates } = rows;
  const inside: number[] = [];
  const outside: number[] = [];
  rows.folds.forEach((own, row) => (own === fold ? outside : inside).push(row));
  const losses = withGuesses(pickRows(rows.losses, candidates, inside), candidates);
  const fitted = learner.fit(
    { features: pickRows(rows.features, dimension, inside), dimension, losses, candidates },
    seed,
  );
  const asked = pickRows(rows.features, dimension, outside);
  fitted.forEach((heads, setting) => {
    const predicted = predictLosses(heads, asked);
    outside.forEach((row, at) => {
      for (let k = 0; k < candidates; k++)
        into[setting]![row * candidates + k] = predicted[at * candidates + k]!;
    });
  });
}

/** Regret of predicted losses on the rows of a choice. */
export type RegretJudge = ReturnType<typeof judgeOf>;

/** What predicted losses of these rows lose, at a cost weight of 0 and over all of them. */
export function judgeOf(rows: ChoiceRows) {
  const { losses: measured, candidates, costs } = rows;
  const means = columnMeans(measured, candidates);
  const gap = Math.max(...means) - Math.min(...means) || 1;
  const lambdas = LAMBDA_STEPS.map((step) => step * gap);
  const oracle = oracleLosses(measured, candidates);
  /** Least loss with costs of each row, for each lambda. */
  const least = lambdas.map((lambda) => totals(measured, rows, lambda));
  return {
    lambdas,
    of: (predicted: Float64Array) => {
      const perRow = new Float64Array(oracle.length);
      lambdas.forEach((_, at) => {
        const share = at === 0 ? 0.5 : 0.5 / (lambdas.length - 1);
        const own = totals(predicted, rows, lambdas[at]!);
        own.forEach((total, row) => (perRow[row]! += share * (total - least[at]![row]!)));
      });
      const routed = lossesOf(choicesOf({ predicted, measured, candidates, costs }), measured, candidates);
      const regret = mean(routed.map((loss, row) => loss - oracle[row]!));
      return { regret, costRegret: mean(perRow), perRow, predicted };
    },
  };
}

/** Measured loss plus lambda times cost of the choice of each row. */
function totals(
  predicted: Float64Array,
  { losses: measured, candidates, costs }: ChoiceRows,
  lambda: number,
): Float64Array {
  const chosen = choicesOf({ predicted, measured, candidates, costs, lambda });
  return lossesOf(chosen, measured, candidates).map((loss, row) => loss + lambda * costs[chosen[row]!]!);
}

/** The best setting of each learner averaged with those of the others: pairs with the best one, and all. */
function averages(judged: readonly Judged[], judge: ReturnType<typeof judgeOf>): Judged[] {
  const names = [...new Set(judged.map(({ learner }) => learner))];
  const champions = names.map((name) =>
    judged.filter(({ learner }) => learner === name).reduce((a, b) => (b.costRegret < a.costRegret ? b : a)),
  );
  if (champions.length < 2) return [];
  const pairs = champions.flatMap((a, at) => champions.slice(at + 1).map((b) => [a, b]));
  const sets = champions.length > 2 ? [...pairs, champions] : pairs;
  return sets.map((parts) => ({
    learner: AVERAGE,
    setting: parts.map(({ learner, setting }) => `${learner}: ${setting}`).join(' | '),
    complexity: parts.reduce((sum, { complexity }) => sum + complexity, 1),
    ...judge.of(parts[0]!.predicted.map((_, at) => mean(parts.map(({ predicted }) => predicted[at]!)))),
  }));
}

/** Names and settings that a choice is made of. */
function partsOf({ learner, setting }: TriedLearner): (readonly [string, string])[] {
  if (learner !== AVERAGE) return [[learner, setting]];
  return setting.split(' | ').map((part) => {
    const at = part.indexOf(': ');
    return [part.slice(0, at), part.slice(at + 2)];
  });
}

function choiceOf(judged: readonly Judged[], lambdas: readonly number[]): LearnerChoice {
  const least = judged.reduce((a, b) => (b.costRegret < a.costRegret ? b : a));
  const tried = judged.map(({ perRow, ...item }): TriedLearner => {
    const beyond = perRow.map((regret, row) => regret - least.perRow[row]!);
    return { ...item, behind: mean(beyond), behindError: standardError(beyond) };
  });
  const best = tried[judged.indexOf(least)]!;
  const chosen = tried
    .filter(({ behind, behindError }) => behind <= behindError)
    .reduce((a, b) => (b.complexity < a.complexity ? b : a), best);
  const name = ({ learner, setting }: TriedLearner) => `${learner} (${setting})`;
  const why =
    chosen === best
      ? `${name(best)} has the least regret, ${best.costRegret.toFixed(4)}, and nothing simpler is within one standard error of it.`
      : `${name(best)} has the least regret, ${best.costRegret.toFixed(4)}; ${name(chosen)} is simpler and only ${chosen.behind.toFixed(4)} behind, within one standard error (${chosen.behindError.toFixed(4)}).`;
  return { tried, chosen, best, why, lambdas };
}
