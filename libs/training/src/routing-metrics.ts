import { argMax, createRandom } from '@thalamus/tensor';

/** A figure with its 95 % bootstrap interval over prompts. */
export interface Figure {
  readonly value: number;
  readonly interval: readonly [number, number];
  readonly n: number;
}

/** Prompts with predicted and measured losses, both [prompts, candidates]. */
export interface RoutedPrompts {
  readonly predicted: Float32Array;
  readonly measured: Float64Array;
  readonly candidates: number;
}

/** Losses of the choices for every prompt. */
export interface RoutingOutcomes {
  /** Candidate with the smallest predicted loss. */
  readonly chosen: Int32Array;
  /** Measured loss of that candidate. */
  readonly routed: Float64Array;
  /** Smallest measured loss. */
  readonly oracle: Float64Array;
  /** Mean measured loss over the candidates: what a random choice costs. */
  readonly random: Float64Array;
}

/** What routing by the predictions gives for every prompt. */
export function routingOutcomes({ predicted, measured, candidates }: RoutedPrompts): RoutingOutcomes {
  const n = measured.length / candidates;
  const chosen = new Int32Array(n);
  const routed = new Float64Array(n);
  const oracle = new Float64Array(n);
  const random = new Float64Array(n);
  for (let row = 0; row < n; row++) {
    const losses = measured.subarray(row * candidates, (row + 1) * candidates);
    const pick = argMax(predicted.subarray(row * candidates, (row + 1) * candidates).map((loss) => -loss));
    chosen[row] = pick;
    routed[row] = losses[pick] ?? 0;
    oracle[row] = Math.min(...losses);
    random[row] = losses.reduce((sum, loss) => sum + loss, 0) / candidates;
  }
  return { chosen, routed, oracle, random };
}

/** Share of prompts whose chosen loss is at most (1 + epsilon) times the smallest; epsilon 0 is top-1. */
export function nearOptimal(outcomes: RoutingOutcomes, epsilon: number): Float64Array {
  return outcomes.routed.map((loss, row) => (loss <= (1 + epsilon) * outcomes.oracle[row]! + 1e-9 ? 1 : 0));
}

/** Candidate with the least mean loss: the best single expert. Choose it on validation, report it on test. */
export function bestSingle(measured: Float64Array, candidates: number): number {
  const sums = new Float64Array(candidates);
  measured.forEach((loss, at) => (sums[at % candidates]! += loss));
  return argMax(sums.map((sum) => -sum));
}

/** Mean of per-prompt values with a seeded percentile bootstrap over prompts. */
export function bootstrapMean(values: ArrayLike<number>, seed: number, resamples = 1000): Figure {
  const random = createRandom(seed);
  const n = values.length;
  const means = new Float64Array(resamples);
  for (let resample = 0; resample < resamples; resample++) {
    let sum = 0;
    for (let draw = 0; draw < n; draw++) sum += values[Math.min(n - 1, Math.floor(random.next() * n))]!;
    means[resample] = sum / n;
  }
  means.sort();
  const at = (share: number) => means[Math.min(resamples - 1, Math.floor(share * resamples))] ?? 0;
  const value = Array.from(values).reduce((sum, x) => sum + x, 0) / n;
  return { value, interval: [at(0.025), at(0.975)], n };
}
