import { predictLosses } from '@thalamus/routing';
import type { LossRows } from '../fit-linear-losses.js';
import { NEAREST } from './learners.js';
import { columnMeans, lossMatrix, pickRows, withGuesses } from './loss-matrix.js';
import { choicesOf, lossesOf, mean } from './routed-choices.js';
import type { RoutingRow } from './routing-table.js';
import { textNeighbourLosses } from './text-neighbours.js';

/** Rows with the vectors that the router's encoder gives them. */
export interface VectorRows {
  readonly rows: readonly RoutingRow[];
  /** [rows, dimension] */
  readonly features: Float32Array;
  readonly dimension: number;
}

/** Neighbours that are tried for the baselines. */
const NEIGHBOURS = [20, 40, 80, 160] as const;
/** Texts on which the number of neighbours is chosen. */
const MOST_TRIED = 1000;

/** Predicted losses [asked, candidates] of the baselines that read rows with results. */
export interface BaselinePredictions {
  /** Mean losses of the rows with the same task label: a control, for no router sees that label. */
  readonly labelThenBest: Float64Array;
  /** Nearest rows by the vectors of the router's encoder. */
  readonly knn: Float64Array;
  /** Nearest rows by TF-IDF. */
  readonly tfidfKnn: Float64Array;
}

/**
 * Predictions of the baselines for `asked`, from the rows that the router was fitted on. How many neighbours count is chosen on
 * those rows: the second half is predicted from the first.
 */
export function baselinePredictions(
  fitted: VectorRows,
  asked: VectorRows,
  candidates: number,
  seed: number,
): BaselinePredictions {
  const losses = lossMatrix(fitted.rows, candidates);
  return {
    labelThenBest: labelLosses(fitted.rows, losses, asked.rows, candidates),
    knn: neighbourLosses(fitted, losses, asked, seed),
    tfidfKnn: textLosses(fitted.rows, losses, asked.rows, candidates),
  };
}

function labelLosses(
  fitted: readonly RoutingRow[],
  losses: Float64Array,
  asked: readonly RoutingRow[],
  candidates: number,
): Float64Array {
  const overall = columnMeans(losses, candidates);
  const rowsOf = new Map<string, number[]>();
  fitted.forEach(({ task }, row) => rowsOf.set(task, [...(rowsOf.get(task) ?? []), row]));
  const means = new Map(
    Array.from(rowsOf, ([task, rows]) => [task, columnMeans(pickRows(losses, candidates, rows), candidates)]),
  );
  return Float64Array.from({ length: asked.length * candidates }, (_, at) => {
    const k = at % candidates;
    const own = means.get(asked[Math.floor(at / candidates)]!.task)?.[k];
    return own === undefined || Number.isNaN(own) ? overall[k]! : own;
  });
}

function neighbourLosses(
  fitted: VectorRows,
  losses: Float64Array,
  asked: VectorRows,
  seed: number,
): Float64Array {
  const candidates = losses.length / fitted.rows.length;
  const { dimension } = fitted;
  const rowsOf = (from: number, to: number): LossRows => ({
    features: fitted.features.subarray(from * dimension, to * dimension),
    dimension,
    losses: withGuesses(losses.slice(from * candidates, to * candidates), candidates),
    candidates,
  });
  const { half, end } = halves(fitted.rows.length);
  const tried = NEAREST.fit(rowsOf(0, half), seed).map((heads) =>
    predictLosses(heads, fitted.features.subarray(half * dimension, end * dimension)),
  );
  const best = leastLoss(tried, losses.subarray(half * candidates, end * candidates), candidates);
  return Float64Array.from(
    predictLosses(NEAREST.fit(rowsOf(0, fitted.rows.length), seed)[best]!, asked.features),
  );
}

function textLosses(
  fitted: readonly RoutingRow[],
  losses: Float64Array,
  asked: readonly RoutingRow[],
  candidates: number,
): Float64Array {
  const texts = fitted.map(({ prompt }) => prompt);
  const { half, end } = halves(fitted.length);
  const first = { texts: texts.slice(0, half), losses: losses.subarray(0, half * candidates) };
  const tried = NEIGHBOURS.map((count) =>
    textNeighbourLosses(first, texts.slice(half, end), candidates, count),
  );
  const best = leastLoss(tried, losses.subarray(half * candidates, end * candidates), candidates);
  return textNeighbourLosses(
    { texts, losses },
    asked.map(({ prompt }) => prompt),
    candidates,
    NEIGHBOURS[best]!,
  );
}

function halves(rows: number): { half: number; end: number } {
  const half = Math.floor(rows / 2);
  return { half, end: Math.min(rows, half + MOST_TRIED) };
}

/** Index of the predictions whose choices lose least. */
function leastLoss(tried: readonly ArrayLike<number>[], measured: Float64Array, candidates: number): number {
  const means = tried.map((predicted) =>
    mean(lossesOf(choicesOf({ predicted, measured, candidates }), measured, candidates)),
  );
  return means.indexOf(Math.min(...means));
}
