/** Two-sided 95 % point of Student's t for the 18 degrees of freedom that 20 points and a line leave. */
const T95 = 2.101;
const BLOCKS = 20;

/**
 * Least-squares slope of `value` over `seconds`, with its 95 % interval. Samples a second apart hang together: the line goes through
 * the medians of 20 stretches of equal length.
 */
export function slopeOf(samples) {
  const size = Math.floor(samples.length / BLOCKS);
  if (size < 1) return undefined;
  const points = Array.from({ length: BLOCKS }, (_, block) => {
    const own = samples.slice(block * size, (block + 1) * size);
    return { x: middle(own.map(({ seconds }) => seconds)), y: middle(own.map(({ value }) => value)) };
  });
  const meanX = mean(points.map(({ x }) => x));
  const meanY = mean(points.map(({ y }) => y));
  const spread = sum(points.map(({ x }) => (x - meanX) ** 2));
  const slope = sum(points.map(({ x, y }) => (x - meanX) * (y - meanY))) / spread;
  const residual = sum(points.map(({ x, y }) => (y - meanY - slope * (x - meanX)) ** 2));
  const half = T95 * Math.sqrt(residual / (BLOCKS - 2) / spread);
  return { slope, low: slope - half, high: slope + half, mean: meanY };
}

function middle(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1];
}

function mean(values) {
  return sum(values) / values.length;
}

function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}
