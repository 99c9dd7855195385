import { ThalamusError } from '@thalamus/errors';
import { dot } from '@thalamus/tensor';

/** Writes the gradient at `point` into `gradient` and returns the value there. */
export type Objective = (point: Float64Array, gradient: Float64Array) => number;

/** When to stop. */
export interface MinimiseOptions {
  readonly maxIterations: number;
  /** Stops when the largest gradient component is below this. */
  readonly tolerance: number;
  /** Pairs of steps remembered. Default 8. */
  readonly memory?: number;
  readonly onIteration?: (iteration: number, value: number) => void;
}

/**
 * Limited-memory BFGS with Armijo backtracking (Nocedal and Wright 2006, algorithm 7.5). Changes `point` in place and
 * returns the value reached. Deterministic.
 * @throws DATASET_INVALID when the value is not finite.
 */
export function minimise(objective: Objective, point: Float64Array, options: MinimiseOptions): number {
  const n = point.length;
  let gradient: Float64Array = new Float64Array(n);
  let value = objective(point, gradient);
  const steps: Float64Array[] = [];
  const changes: Float64Array[] = [];
  for (let iteration = 0; iteration < options.maxIterations; iteration++) {
    if (!Number.isFinite(value)) {
      throw new ThalamusError(
        'DATASET_INVALID',
        `The loss is ${value} in iteration ${iteration}; check the data for broken values.`,
      );
    }
    options.onIteration?.(iteration, value);
    if (largest(gradient) < options.tolerance) break;
    const direction = twoLoop(gradient, steps, changes);
    let slope = dot(direction, gradient);
    if (slope >= 0) {
      direction.set(gradient.map((g) => -g));
      slope = -dot(gradient, gradient);
    }
    const next = new Float64Array(n);
    const nextGradient = new Float64Array(n);
    let length = steps.length === 0 ? Math.min(1, 1 / Math.sqrt(-slope)) : 1;
    let nextValue = Infinity;
    for (let trial = 0; trial < 30; trial++, length /= 2) {
      for (let i = 0; i < n; i++) next[i] = point[i]! + length * direction[i]!;
      nextValue = objective(next, nextGradient);
      if (nextValue <= value + 1e-4 * length * slope) break;
    }
    if (!(nextValue < value)) break;
    remember(steps, changes, point, next, gradient, nextGradient, options.memory ?? 8);
    point.set(next);
    gradient = nextGradient;
    value = nextValue;
  }
  return value;
}

function twoLoop(
  gradient: Float64Array,
  steps: readonly Float64Array[],
  changes: readonly Float64Array[],
): Float64Array {
  const q = gradient.map((g) => -g);
  const alphas: number[] = [];
  for (let i = steps.length - 1; i >= 0; i--) {
    const alpha = dot(steps[i]!, q) / dot(steps[i]!, changes[i]!);
    alphas[i] = alpha;
    for (let j = 0; j < q.length; j++) q[j] = q[j]! - alpha * changes[i]![j]!;
  }
  const last = steps.length - 1;
  if (last >= 0) {
    const scale = dot(steps[last]!, changes[last]!) / dot(changes[last]!, changes[last]!);
    for (let j = 0; j < q.length; j++) q[j] = q[j]! * scale;
  }
  for (let i = 0; i < steps.length; i++) {
    const beta = dot(changes[i]!, q) / dot(steps[i]!, changes[i]!);
    for (let j = 0; j < q.length; j++) q[j] = q[j]! + (alphas[i]! - beta) * steps[i]![j]!;
  }
  return q;
}

// eslint-disable-next-line max-params -- the three pairs belong together and live in the caller's loop
function remember(
  steps: Float64Array[],
  changes: Float64Array[],
  from: Float64Array,
  to: Float64Array,
  gradientFrom: Float64Array,
  gradientTo: Float64Array,
  memory: number,
): void {
  const step = to.map((value, i) => value - from[i]!);
  const change = gradientTo.map((value, i) => value - gradientFrom[i]!);
  if (dot(step, change) <= 1e-12) return;
  steps.push(step);
  changes.push(change);
  if (steps.length > memory) {
    steps.shift();
    changes.shift();
  }
}

function largest(values: Float64Array): number {
  let result = 0;
  for (const value of values) result = Math.max(result, Math.abs(value));
  return result;
}
