import { MOST_RISK_ROWS } from '@thalamus/bundle';
import type { RiskRows } from '@thalamus/routing';
import { createRandom } from '@thalamus/tensor';

/** What rows are taken from: losses [rows, candidates], NaN in the measured ones for no result. */
export interface RiskSource {
  /** Calibrated, by heads and maps that had not seen the row. */
  readonly predicted: Float64Array;
  readonly measured: Float64Array;
  readonly candidates: number;
  readonly unit: 'nats' | 'error';
  readonly seed: number;
}

/** Most numbers of one tensor. */
const MOST_VALUES = 2 ** 18;
/** Most rows that are kept: twice as many bring a bound a third closer, and every test of a rule reads them all. */
const MOST_ROWS = Math.min(2000, MOST_RISK_ROWS);

/**
 * Rows for bounds on the risk, in an order by chance. They are the rows that heads, maps and intervals were fitted on, which
 * is sound because of how each was predicted, by heads and maps from the other folds: given those, the losses beyond the
 * reference are draws with the mean that is tested. Rules read no interval, and their order is fixed beforehand. Not covered
 * is what the served heads, fitted on all folds, differ by from those of four folds; `results:router` measures that on rows
 * that nothing was fitted on. Losses in nats have no largest one: differences are cut off at the largest measured.
 */
export function riskRows({ predicted, measured, candidates, unit, seed }: RiskSource): RiskRows {
  const count = measured.length / candidates;
  const most = Math.max(1, Math.min(MOST_ROWS, Math.floor(MOST_VALUES / candidates)));
  const order = createRandom(seed)
    .shuffle(Array.from({ length: count }, (_, row) => row))
    .slice(0, most);
  const pick = (values: Float64Array) =>
    Float32Array.from(order.flatMap((row) => [...values.subarray(row * candidates, (row + 1) * candidates)]));
  const largest = measured.reduce((most, loss) => (loss > most ? loss : most), 0);
  return {
    predicted: pick(predicted),
    measured: pick(measured),
    candidates,
    bound: unit === 'error' || largest === 0 ? 1 : largest,
  };
}
