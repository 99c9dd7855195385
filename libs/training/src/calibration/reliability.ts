import { ThalamusError } from '@thalamus/errors';
import type { CalibrationPairs } from './fit-recalibration.js';
import { foldedNormalMean } from './folded-normal.js';

/** One bin of a reliability plot. */
export interface ReliabilityBin {
  /** Least and largest predicted value. */
  readonly from: number;
  readonly to: number;
  readonly n: number;
  /** Means. */
  readonly predicted: number;
  readonly measured: number;
  /** Standard error of measured - predicted; Infinity for a single row. */
  readonly error: number;
}

/** Calibration figures, in the loss unit (the squared one for `squared`). */
export interface CalibrationFigures {
  readonly n: number;
  /** Mean of |mean measured - mean predicted| over bins, by rows: what is usually called the expected calibration error. */
  readonly plain: number;
  /** `plain` less what chance is estimated to add; 0 or more. */
  readonly debiased: number;
  /** Unbiased estimate of the squared calibration error; may be below 0. */
  readonly squared: number;
  readonly bins: readonly ReliabilityBin[];
}

/** Mean squared error of predictions, taken apart; reliability - resolution + uncertainty + within is the score. */
export interface BrierFigures {
  readonly score: number;
  /** Squared distance of bin means from the diagonal; less is better. */
  readonly reliability: number;
  /** Squared distance of bin means from the overall mean; more is better. */
  readonly resolution: number;
  /** Variance of what was measured. */
  readonly uncertainty: number;
  /** What predictions within a bin vary by, and do not explain. */
  readonly within: number;
}

/**
 * Bins of about equal mass. Equal predictions are never parted, so there may be fewer bins than asked for; each has two rows
 * or more where there are two different ones. DATASET_INVALID without rows, or for a value that is no number.
 */
export function reliabilityBins(pairs: CalibrationPairs, bins = 15): ReliabilityBin[] {
  return partsOf(pairs, bins).map((rows) => {
    const predicted = meanOver(rows, pairs.predicted);
    const measured = meanOver(rows, pairs.measured);
    let squares = 0;
    for (const at of rows)
      squares += (pairs.measured[at]! - pairs.predicted[at]! - measured + predicted) ** 2;
    return {
      from: pairs.predicted[rows[0]!]!,
      to: pairs.predicted[rows.at(-1)!]!,
      n: rows.length,
      predicted,
      measured,
      error: rows.length > 1 ? Math.sqrt(squares / (rows.length - 1) / rows.length) : Infinity,
    };
  });
}

/**
 * Calibration error over bins of equal mass.
 *
 * `squared` takes each bin's variance off its squared gap, which is unbiased (Bröcker 2012; Kumar, Liang and Ma 2019,
 * "Verified uncertainty calibration", section 4). The absolute gap has no unbiased estimate. `debiased` is that of Kumar and
 * others for it: `plain` less its bias, which is what the same gaps would come out larger by, were they the truth and measured
 * again with the normal noise of their bins. Their resampling is taken in closed form. A calibrated model keeps 2 - sqrt(2) of
 * the bias; a gap of twice the noise keeps next to none.
 */
export function calibrationFigures(pairs: CalibrationPairs, bins = 15): CalibrationFigures {
  const list = reliabilityBins(pairs, bins);
  const n = pairs.predicted.length;
  let plain = 0;
  let gaps = 0;
  let noise = 0;
  const weighed = list.map(({ n: rows, predicted, measured, error }) => {
    const gap = Math.abs(measured - predicted);
    const known = Number.isFinite(error) ? error : 0;
    plain += (rows / n) * gap;
    gaps += (rows / n) * gap * gap;
    noise += (rows / n) * known * known;
    return { weight: rows / n, gap, error: known };
  });
  const bias = weighed.reduce(
    (sum, { weight, gap, error }) => sum + weight * (foldedNormalMean(gap, error) - gap),
    0,
  );
  return { n, plain, debiased: Math.max(0, plain - bias), squared: gaps - noise, bins: list };
}

/**
 * Brier score and its parts (Murphy 1973; with the variance inside bins, Stephenson, Coelho and Jolliffe 2008). The identity
 * is exact for any measured values, not only for 0 and 1.
 */
export function brierFigures(pairs: CalibrationPairs, bins = 15): BrierFigures {
  const n = pairs.predicted.length;
  const overall = meanOver(
    Array.from({ length: n }, (_, at) => at),
    pairs.measured,
  );
  const figures = { score: 0, reliability: 0, resolution: 0, uncertainty: 0, within: 0 };
  for (const rows of partsOf(pairs, bins)) {
    const predicted = meanOver(rows, pairs.predicted);
    const measured = meanOver(rows, pairs.measured);
    figures.reliability += (rows.length / n) * (predicted - measured) ** 2;
    figures.resolution += (rows.length / n) * (measured - overall) ** 2;
    for (const at of rows) {
      const p = pairs.predicted[at]! - predicted;
      const y = pairs.measured[at]! - measured;
      figures.within += (p * p - 2 * p * y) / n;
      figures.score += (pairs.predicted[at]! - pairs.measured[at]!) ** 2 / n;
      figures.uncertainty += (pairs.measured[at]! - overall) ** 2 / n;
    }
  }
  return figures;
}

/** Row numbers of each bin, by predicted value. */
function partsOf({ predicted, measured }: CalibrationPairs, bins: number): number[][] {
  const n = predicted.length;
  const order = Array.from({ length: n }, (_, at) => at);
  const broken = order.find((at) => !Number.isFinite(predicted[at]) || !Number.isFinite(measured[at]));
  if (n === 0 || measured.length !== n || broken !== undefined || !(bins >= 1)) {
    const reason =
      broken === undefined
        ? `${n} predictions, ${measured.length} measurements and ${bins} bins do not go together`
        : `row ${broken} holds a value that is no number`;
    throw new ThalamusError('DATASET_INVALID', `Reliability: ${reason}. Leave rows without a result out.`);
  }
  order.sort((a, b) => predicted[a]! - predicted[b]! || a - b);
  const wanted = Math.max(1, Math.min(Math.floor(bins), Math.floor(n / 2)));
  const parts: number[][] = [];
  for (let bin = 0, from = 0; bin < wanted && from < n; bin++) {
    let to = Math.max(Math.floor(((bin + 1) * n) / wanted), Math.min(n, from + 2));
    while (to < n && predicted[order[to]!] === predicted[order[to - 1]!]) to++;
    if (n - to < 2) to = n;
    parts.push(order.slice(from, to));
    from = to;
  }
  return parts;
}

const meanOver = (rows: readonly number[], values: ArrayLike<number>) =>
  rows.reduce((sum, at) => sum + values[at]!, 0) / rows.length;
