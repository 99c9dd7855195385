import { ThalamusError } from '@thalamus/errors';
import { createRandom } from '@thalamus/tensor';
import { residualInterval, type ResidualInterval } from '../conformal.js';

/** Residuals (measured - predicted) of one expert on rows that were not fitted, with the region of each row. */
export interface RegionResiduals {
  readonly residuals: ArrayLike<number>;
  readonly regions: ArrayLike<number>;
  readonly regionCount: number;
}

/** Interval of a row in region r: predicted + scales[r] x [lower, upper]. */
export interface ScaledInterval extends ResidualInterval {
  /** By region; positive, 1 on average over the rows. */
  readonly scales: readonly number[];
}

/** Rows that a region's scale counts as if they were average ones. */
const PRIOR_ROWS = 5;

/**
 * Locally adaptive split-conformal interval (Lei, G'Sell, Rinaldo, Tibshirani and Wasserman 2018, section 5.2): residuals are
 * divided by a scale before their quantiles are taken, so that easy regions get narrow intervals and hard ones wide ones, at
 * the same coverage. Scales are mean absolute residuals of regions, drawn towards the overall mean where rows are few. They
 * come from one half of the rows (seeded), the quantiles from the other: what fixes the scales must not have seen the rows
 * that the coverage is promised by. DATASET_INVALID when half of the rows are too few for the coverage.
 */
export function scaledInterval(rows: RegionResiduals, coverage: number, seed: number): ScaledInterval {
  const { residuals, regions, regionCount } = rows;
  const wrong = Array.from(residuals).findIndex(
    (residual, at) => !Number.isFinite(residual) || !((regions[at] ?? -1) >= 0 && regions[at]! < regionCount),
  );
  if (wrong >= 0)
    throw new ThalamusError(
      'DATASET_INVALID',
      `Residual ${wrong} is no number, or its region is not one of ${regionCount}; leave rows without a result out.`,
    );
  const order = createRandom(seed).shuffle(Array.from({ length: residuals.length }, (_, at) => at));
  const half = Math.floor(order.length / 2);
  const scales = scalesOf(rows, order.slice(0, half));
  const held = order.slice(half).map((at) => residuals[at]! / scales[regions[at]!]!);
  return { scales, ...residualInterval(held, coverage) };
}

/**
 * Mean width over rows of these regions: by it, and on rows that made neither, the plain and the scaled interval compare. A
 * plain interval has no scales.
 */
export function meanWidth(
  { lower, upper, scales }: ResidualInterval & { readonly scales?: readonly number[] },
  regions: ArrayLike<number>,
): number {
  let sum = 0;
  for (let at = 0; at < regions.length; at++) sum += (scales?.[regions[at]!] ?? 1) * (upper - lower);
  return sum / regions.length;
}

function scalesOf({ residuals, regions, regionCount }: RegionResiduals, rows: readonly number[]): number[] {
  const sums = new Float64Array(regionCount);
  const counts = new Float64Array(regionCount);
  let all = 0;
  for (const at of rows) {
    sums[regions[at]!]! += Math.abs(residuals[at]!);
    counts[regions[at]!]! += 1;
    all += Math.abs(residuals[at]!) / rows.length;
  }
  // Without an error anywhere there is nothing to scale by.
  if (!(all > 0)) return new Array<number>(regionCount).fill(1);
  return Array.from(sums, (sum, region) => (sum / all + PRIOR_ROWS) / (counts[region]! + PRIOR_ROWS));
}
