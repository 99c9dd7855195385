/** Predicted and measured losses of prompts, both [prompts, candidates]; NaN in the measured ones for no result. */
export interface RoutedLosses {
  readonly predicted: ArrayLike<number>;
  readonly measured: Float64Array;
  readonly candidates: number;
  /** Cost of each candidate, 0 to 1. */
  readonly costs?: ArrayLike<number> | undefined;
  /** Weight of the costs, in the loss unit; 0 when absent. */
  readonly lambda?: number;
}

/**
 * Choice for each prompt: the least predicted loss plus lambda times cost among the candidates that have a result; the first of
 * equals. -1 for a prompt without any.
 */
export function choicesOf({ predicted, measured, candidates, costs, lambda = 0 }: RoutedLosses): Int32Array {
  const chosen = new Int32Array(measured.length / candidates).fill(-1);
  for (let row = 0; row < chosen.length; row++) {
    let least = Infinity;
    for (let k = 0; k < candidates; k++) {
      const at = row * candidates + k;
      if (Number.isNaN(measured[at]!)) continue;
      const total = predicted[at]! + lambda * (costs?.[k] ?? 0);
      if (total < least) {
        least = total;
        chosen[row] = k;
      }
    }
  }
  return chosen;
}

/** Measured loss of the choice for each prompt. */
export function lossesOf(choices: Int32Array, measured: Float64Array, candidates: number): Float64Array {
  return Float64Array.from(choices, (k, row) => measured[row * candidates + k]!);
}

/** Least measured loss of each prompt. */
export function oracleLosses(measured: Float64Array, candidates: number): Float64Array {
  return lossesOf(choicesOf({ predicted: measured, measured, candidates }), measured, candidates);
}

/** The same choice for every prompt, or the one with the least `fallback` where it has no result. */
export function sameChoice(
  k: number,
  measured: Float64Array,
  candidates: number,
  fallback: ArrayLike<number>,
): Int32Array {
  const predicted = Float64Array.from(measured, (_, at) =>
    at % candidates === k ? -1e9 : fallback[at % candidates]!,
  );
  return choicesOf({ predicted, measured, candidates });
}

/** Mean of values; NaN for none. */
export function mean(values: ArrayLike<number>): number {
  let sum = 0;
  for (let at = 0; at < values.length; at++) sum += values[at]!;
  return sum / values.length;
}

/** Standard error of a mean: sample deviation / sqrt(n). */
export function standardError(values: ArrayLike<number>): number {
  const average = mean(values);
  let squares = 0;
  for (let at = 0; at < values.length; at++) squares += (values[at]! - average) ** 2;
  return Math.sqrt(squares / Math.max(1, values.length - 1) / values.length);
}
