import type { FeatureSpec } from '@thalamus/routing';
import type { TrainingBase } from '../training-base.port.js';
import { featuresOf } from './fitted-features.js';
import { pickRows } from './loss-matrix.js';
import { firstPredictions, predictedBy, type OpenedRouter } from './opened-router.js';
import { preparePrompts, type PrepareOptions } from './prepare-prompts.js';
import type { RoutingRow } from './routing-table.js';
import type { VectorRows } from './table-baselines.js';

/** Vectors of rows as the first stage reads them, or the only one, and as the second does. */
export async function vectorsOf(
  { spec, second }: OpenedRouter,
  base: TrainingBase,
  rows: readonly RoutingRow[],
  options: PrepareOptions,
): Promise<{ readonly first: VectorRows; readonly second: VectorRows | undefined }> {
  const kinds = (second?.spec ?? spec).blocks.map(({ kind }) => kind);
  const prompts = await preparePrompts(
    base,
    rows.map(({ prompt }) => prompt),
    kinds,
    options,
  );
  const by = (own: FeatureSpec): VectorRows => {
    const features = featuresOf(prompts, own);
    return { rows, features, dimension: features.length / rows.length };
  };
  return { first: by(spec), second: second && by(second.spec) };
}

/** What a router model predicts for rows, and the share of them that its second stage decides. */
export function predictedRows(router: OpenedRouter, vectors: VectorRows, second: VectorRows | undefined) {
  const first = firstPredictions(router, vectors.features);
  const open = second ? pickRows(second.features, second.dimension, first.open) : new Float32Array();
  return { ...predictedBy(router, first, open), share: first.open.length / vectors.rows.length };
}
