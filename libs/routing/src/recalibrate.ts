/** Monotone and piecewise linear through knots; constant outside of them. Any loss unit. */
export interface IsotonicMap {
  readonly kind: 'isotonic';
  /** Predicted values, strictly rising; at least one. */
  readonly inputs: readonly number[];
  /** Calibrated values at the inputs, never falling. */
  readonly values: readonly number[];
}

/**
 * logit(q) = a ln(p) - b ln(1 - p) + c with a, b >= 0, for values that are probabilities (Kull, Silva Filho and Flach 2017,
 * "Beta calibration"). a = b = 1 / T with c = 0 is temperature scaling.
 */
export interface BetaMap {
  readonly kind: 'beta';
  readonly a: number;
  readonly b: number;
  readonly c: number;
}

/** How predicted losses are brought to measured ones. Neither kind ever turns the order of two predictions round. */
export type Recalibration = IsotonicMap | BetaMap;

/** Probabilities nearer than this to 0 or 1 are taken to be this far from it. */
export const PROBABILITY_FLOOR = 1e-6;

/** Calibrated value of one prediction. O(log knots). NaN stays NaN. */
export function recalibrate(map: Recalibration, value: number): number {
  if (Number.isNaN(value)) return NaN;
  return map.kind === 'isotonic' ? interpolate(map, value) : betaOf(map, value);
}

function betaOf({ a, b, c }: BetaMap, value: number): number {
  const p = Math.min(1 - PROBABILITY_FLOOR, Math.max(PROBABILITY_FLOOR, value));
  return 1 / (1 + Math.exp(-(a * Math.log(p) - b * Math.log1p(-p) + c)));
}

function interpolate({ inputs, values }: IsotonicMap, value: number): number {
  let low = 0;
  let high = inputs.length - 1;
  if (value <= inputs[low]!) return values[low]!;
  if (value >= inputs[high]!) return values[high]!;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (inputs[middle]! <= value) low = middle;
    else high = middle;
  }
  const share = (value - inputs[low]!) / (inputs[high]! - inputs[low]!);
  return values[low]! + share * (values[high]! - values[low]!);
}
