import type { LossPoint, TrainingLosses } from '../../api/types.js';

/** A place of the picture: losses in nats; null where there is none. */
export interface CurveRow {
  readonly step: number;
  readonly training: number | null;
  readonly validation: number | null;
}

/** Most places of a picture: more are no sharper on a screen. */
const MOST_ROWS = 160;

/** Rows of the picture, by step. The training losses of neighbouring steps are averaged, as single batches say little. */
export function curveRows({ training, validation }: TrainingLosses): CurveRow[] {
  const size = Math.max(1, Math.ceil(training.length / MOST_ROWS));
  const rows = new Map<number, { training: number | null; validation: number | null }>();
  for (let from = 0; from < training.length; from += size) {
    const part = training.slice(from, from + size);
    rows.set(part.at(-1)?.step ?? 0, { training: mean(part), validation: null });
  }
  for (const { step, loss } of validation)
    rows.set(step, { training: rows.get(step)?.training ?? null, validation: loss });
  return [...rows].sort(([a], [b]) => a - b).map(([step, row]) => ({ step, ...row }));
}

function mean(points: readonly LossPoint[]): number {
  return points.reduce((sum, { loss }) => sum + loss, 0) / points.length;
}
