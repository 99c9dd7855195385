import { ThalamusError } from '@thalamus/errors';
import type { TrainingBase } from '../training-base.port.js';
import { judgeRouter, type RouterJudgement, type RouterTrial } from './judge-router.js';
import type { OpenedRouter } from './opened-router.js';
import { predictedRows, vectorsOf } from './predicted-rows.js';
import type { PrepareOptions } from './prepare-prompts.js';
import type { RoutingRow, RoutingTable } from './routing-table.js';
import { baselinePredictions, type VectorRows } from './table-baselines.js';
import { splitParts, type SplitPart } from './table-split.js';

/** Part of a table that is judged. */
export type JudgedSplit = SplitPart | 'all';

/** What is evaluated on what. */
export interface RouterEvaluation {
  readonly router: OpenedRouter;
  /** The encoder's bundle, opened. */
  readonly base: TrainingBase;
  readonly table: RoutingTable;
  readonly split: JudgedSplit;
}

/** An evaluation. */
export interface EvaluatedRouter extends RouterJudgement {
  readonly router: string;
  readonly table: string;
  readonly split: JudgedSplit;
  /** True when the heads were fitted on some of these rows. */
  readonly fitted: boolean;
  readonly notes: readonly string[];
}

const OTHER_TABLE =
  'The router was fitted on another table: labelThenBest, knn and tfidfKnn need the rows that it was fitted on and are left out.';

/** What is said of rows that a router model was fitted on. */
export const FITTED_NOTE =
  'The router was fitted on rows of this part, so that these figures flatter it and its neighbours; the choice file has figures of rows that were held out.';

/** A router model with its predictions on a part of a table. */
export interface TriedRouter {
  readonly trial: RouterTrial;
  /** Vectors of the rows as the heads read them. */
  readonly vectors: VectorRows;
  readonly fitted: boolean;
  readonly notes: readonly string[];
}

/**
 * Judges a router model on a part of a table over the same models. Parts are those of the rule and seed that the router model
 * keeps: of its own table, the same rows again.
 * @throws DATASET_INVALID for other models, or a part without rows; BUNDLE_INVALID for an encoder that is another
 */
export async function evaluateRouter(
  evaluation: RouterEvaluation,
  options: PrepareOptions = {},
): Promise<EvaluatedRouter> {
  const { trial, fitted, notes } = await tryRouter(evaluation, options);
  const { manifest } = evaluation.router;
  return {
    router: `${manifest.name}@${manifest.version}`,
    table: evaluation.table.set,
    split: evaluation.split,
    fitted,
    ...judgeRouter(trial),
    notes,
  };
}

/** Predicts the losses of a part, and those of the baselines. @throws as `evaluateRouter` does */
export async function tryRouter(
  { router, base, table, split }: RouterEvaluation,
  options: PrepareOptions = {},
): Promise<TriedRouter> {
  requireEncoder(router, base);
  const rows = inOrderOf(table, router);
  const { asked, known, isFitted } = chosenRows(rows, router, table, split);
  const { manifest } = router;
  const seed = manifest.split?.seed ?? 0;
  const all = await vectorsOf(router, base, [...new Set([...asked, ...known])], options);
  const vectors = pick(all.first, asked);
  const isKnown = known.length > 0;
  const second = all.second && pick(all.second, asked);
  const { raw, calibrated, regions, share } = predictedRows(router, vectors, second);
  // By the losses of the heads: maps are made for those of both stages together.
  const alone = (threshold: number) => predictedRows(withThreshold(router, threshold), vectors, second).raw;
  return {
    trial: {
      stages: second && { share, fast: alone(0), accurate: alone(Infinity) },
      manifest,
      rows: asked,
      predicted: calibrated,
      raw,
      regions,
      seed,
      baselines: isKnown
        ? baselinePredictions(pick(all.first, known), vectors, manifest.candidates.length, seed)
        : undefined,
    },
    vectors,
    fitted: isFitted,
    notes: [...table.notes, ...(isFitted ? [FITTED_NOTE] : []), ...(isKnown ? [] : [OTHER_TABLE])],
  };
}

/** Rows that are judged, and those of the router's own table that it was fitted on. @throws DATASET_INVALID without any to judge */
function chosenRows(
  rows: readonly RoutingRow[],
  router: OpenedRouter,
  table: RoutingTable,
  split: JudgedSplit,
) {
  const { manifest } = router;
  const parts = partsOf(rows, router, split);
  const asked = rows.filter((_, at) => split === 'all' || parts?.[at] === split);
  if (asked.length === 0)
    throw new ThalamusError(
      'DATASET_INVALID',
      `${table.set} has no rows in the part "${split}"; choose --split all.`,
    );
  const isOwn = manifest.candidates.every(({ fittedOn }) => fittedOn.lossTable === table.digest);
  const fittedParts: readonly JudgedSplit[] = manifest.split?.fitted ?? [];
  const known = isOwn && parts ? rows.filter((_, at) => fittedParts.includes(parts[at]!)) : [];
  return { asked, known, isFitted: isOwn && (split === 'all' || fittedParts.includes(split)) };
}

/** @throws BUNDLE_INVALID when the base is not the one that the router model was fitted with */
export function requireEncoder({ manifest }: OpenedRouter, base: TrainingBase): void {
  if (manifest.encoder.digest === base.digest) return;
  throw new ThalamusError(
    'BUNDLE_INVALID',
    `The router model ${manifest.name}@${manifest.version} reads the encoder ${manifest.encoder.name} (${manifest.encoder.digest}), but the base given is ${base.manifest.name} (${base.digest}); name its folder with --base.`,
  );
}

/** Rows with their losses in the order of the candidates. @throws DATASET_INVALID when the models are others */
function inOrderOf(table: RoutingTable, { manifest }: OpenedRouter): RoutingRow[] {
  const columns = manifest.candidates.map(({ expert }) =>
    table.models.findIndex((model) => model.expert === expert),
  );
  const missing = manifest.candidates.filter((_, at) => columns[at]! < 0).map(({ expert }) => expert);
  const unknown = table.models.filter(
    ({ expert }) => !manifest.candidates.some((item) => item.expert === expert),
  );
  if (missing.length > 0 || unknown.length > 0)
    throw new ThalamusError(
      'DATASET_INVALID',
      `${table.set} is not over the models of the router: ${[
        ...(unknown.length > 0
          ? [`the router has no head for ${unknown.map(({ name }) => name).join(', ')}`]
          : []),
        ...(missing.length > 0 ? [`the table has no results of ${missing.join(', ')}`] : []),
      ].join('; ')}.`,
    );
  if (table.unit !== manifest.lossUnit)
    throw new ThalamusError(
      'DATASET_INVALID',
      `${table.set} has losses in "${table.unit}" where the router predicts "${manifest.lossUnit}"; measure them alike.`,
    );
  return table.rows.map((row) => ({
    ...row,
    losses: Float64Array.from(columns, (column) => row.losses[column]!),
  }));
}

/** Part of each row by the rule of a router model; undefined where it has none and all are asked. @throws DATASET_INVALID */
export function partsOf(
  rows: readonly RoutingRow[],
  { manifest }: OpenedRouter,
  split: JudgedSplit,
): SplitPart[] | undefined {
  const rule = manifest.split;
  const isWithoutDocs = rule?.by === 'doc' && rows.some(({ doc }) => doc === undefined);
  if (rule && !(isWithoutDocs && split === 'all')) return splitParts(rows, rule);
  if (split === 'all') return undefined;
  throw new ThalamusError(
    'DATASET_INVALID',
    `The router model ${manifest.name}@${manifest.version} does not say how its table was split; choose --split all.`,
  );
}

/** The same router model with another threshold between its stages. */
function withThreshold(router: OpenedRouter, threshold: number): OpenedRouter {
  const { second } = router;
  return second ? { ...router, second: { ...second, gate: { ...second.gate, threshold } } } : router;
}

function pick(vectors: VectorRows, wanted: readonly RoutingRow[]): VectorRows {
  const { dimension } = vectors;
  const at = new Map(vectors.rows.map((row, index) => [row, index]));
  const features = new Float32Array(wanted.length * dimension);
  wanted.forEach((row, index) => {
    const from = at.get(row)! * dimension;
    features.set(vectors.features.subarray(from, from + dimension), index * dimension);
  });
  return { rows: wanted, features, dimension };
}
