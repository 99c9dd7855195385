/** Settings of a layout. */
export interface LayoutOptions {
  /** Effective number of neighbours of a point. */
  readonly perplexity?: number;
  readonly iterations?: number;
}

/** Points of a plane. */
export interface PlaneLayout {
  readonly x: Float64Array;
  readonly y: Float64Array;
}

/** Iterations in which attraction counts more, so that what belongs together finds together. */
const EXAGGERATED = 200;
const EXAGGERATION = 12;
const SEARCH_STEPS = 50;
const LEAST_GAIN = 0.01;
/** Spread of the points at the start: small against the distance of neighbours. */
const START_SPREAD = 1e-4;

/**
 * Places points in the plane so that near ones stay near: t-SNE (van der Maaten and Hinton 2008), exact, O(n^2) a step, from
 * given starting places (of principal components, which keeps the large picture: Kobak and Berens 2019) and with the
 * learning rate n / 48 (Belkina and others 2019). Deterministic. Distances between groups mean little; who is whose
 * neighbour means much.
 * @param distances squared, [n, n]
 */
export function planeLayout(
  distances: Float64Array,
  start: PlaneLayout,
  { perplexity = 30, iterations = 600 }: LayoutOptions = {},
): PlaneLayout {
  const n = start.x.length;
  const affinities = jointAffinities(distances, n, Math.min(perplexity, Math.max(2, (n - 1) / 3)));
  const axes = [scaledStart(start.x), scaledStart(start.y)] as const;
  const rate = Math.max(10, n / (EXAGGERATION * 4));
  const steps = axes.map(() => new Float64Array(n));
  const gains = axes.map(() => new Float64Array(n).fill(1));
  for (let iteration = 0; iteration < iterations; iteration++) {
    const isEarly = iteration < EXAGGERATED;
    const gradients = gradientOf(affinities, axes, isEarly ? EXAGGERATION : 1);
    const momentum = isEarly ? 0.5 : 0.8;
    axes.forEach((axis, dimension) => {
      const [step, gain, gradient] = [steps[dimension]!, gains[dimension]!, gradients[dimension]!];
      for (let i = 0; i < n; i++) {
        const isSameWay = gradient[i]! > 0 === step[i]! > 0;
        gain[i] = Math.max(LEAST_GAIN, isSameWay ? gain[i]! * 0.8 : gain[i]! + 0.2);
        step[i] = momentum * step[i]! - rate * gain[i]! * gradient[i]!;
        axis[i]! += step[i]!;
      }
    });
  }
  return { x: axes[0], y: axes[1] };
}

function scaledStart(axis: Float64Array): Float64Array {
  const mean = axis.reduce((sum, value) => sum + value, 0) / axis.length;
  const spread = Math.sqrt(axis.reduce((sum, value) => sum + (value - mean) ** 2, 0) / axis.length) || 1;
  return axis.map((value) => ((value - mean) / spread) * START_SPREAD);
}

/** Symmetric probabilities that two points are neighbours; they sum to 1. */
function jointAffinities(distances: Float64Array, n: number, perplexity: number): Float64Array {
  const joint = new Float64Array(n * n);
  const row = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    conditional(distances.subarray(i * n, (i + 1) * n), i, Math.log(perplexity), row);
    for (let j = 0; j < n; j++) {
      joint[i * n + j]! += row[j]! / (2 * n);
      joint[j * n + i]! += row[j]! / (2 * n);
    }
  }
  return joint;
}

/** Gaussian neighbour probabilities of one point whose entropy is `entropy` nats, found by bisection. */
function conditional(distances: Float64Array, self: number, entropy: number, row: Float64Array): void {
  // Taken off, it cancels in the quotient and keeps the exponentials from vanishing.
  const nearest = distances.reduce((least, d, j) => (j === self ? least : Math.min(least, d)), Infinity);
  let precision = 1;
  let low = 0;
  let high = Infinity;
  for (let step = 0; step < SEARCH_STEPS; step++) {
    let total = 0;
    let weighed = 0;
    for (let j = 0; j < row.length; j++) {
      const away = distances[j]! - nearest;
      row[j] = j === self ? 0 : Math.exp(-precision * away);
      total += row[j]!;
      weighed += row[j]! * away;
    }
    const found = Math.log(total) + (precision * weighed) / total;
    for (let j = 0; j < row.length; j++) row[j]! /= total;
    if (Math.abs(found - entropy) < 1e-5) return;
    if (found > entropy) low = precision;
    else high = precision;
    precision = high === Infinity ? precision * 2 : (low + high) / 2;
  }
}

/** Gradient of the Kullback-Leibler divergence by place. */
function gradientOf(
  affinities: Float64Array,
  [x, y]: readonly [Float64Array, Float64Array],
  exaggeration: number,
): [Float64Array, Float64Array] {
  const n = x.length;
  const pull: [Float64Array, Float64Array] = [new Float64Array(n), new Float64Array(n)];
  const push: [Float64Array, Float64Array] = [new Float64Array(n), new Float64Array(n)];
  let total = 0;
  for (let i = 0; i < n; i++)
    for (let j = i + 1; j < n; j++) {
      const dx = x[i]! - x[j]!;
      const dy = y[i]! - y[j]!;
      const closeness = 1 / (1 + dx * dx + dy * dy);
      total += 2 * closeness;
      const attract = affinities[i * n + j]! * closeness;
      const repel = closeness * closeness;
      pull[0][i]! += attract * dx;
      pull[0][j]! -= attract * dx;
      pull[1][i]! += attract * dy;
      pull[1][j]! -= attract * dy;
      push[0][i]! += repel * dx;
      push[0][j]! -= repel * dx;
      push[1][i]! += repel * dy;
      push[1][j]! -= repel * dy;
    }
  const along = (dimension: 0 | 1) =>
    pull[dimension].map((value, i) => 4 * (exaggeration * value - push[dimension][i]! / total));
  return [along(0), along(1)];
}
