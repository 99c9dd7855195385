/** A share of items with its 95 % interval. */
export interface Rate {
  readonly count: number;
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

const Z_95 = 1.959963984540054;

/** Wilson score interval of a binomial share (Wilson 1927), 95 %. An empty sample gives 0 with the interval 0 to 1. */
export function wilson(count: number, n: number, z = Z_95): Rate {
  if (n === 0) return { count: 0, value: 0, low: 0, high: 1 };
  const p = count / n;
  const centre = (p + (z * z) / (2 * n)) / (1 + (z * z) / n);
  const half = (z / (1 + (z * z) / n)) * Math.sqrt((p * (1 - p)) / n + (z * z) / (4 * n * n));
  return {
    count,
    value: p,
    low: count === 0 ? 0 : Math.max(0, centre - half),
    high: count === n ? 1 : Math.min(1, centre + half),
  };
}
