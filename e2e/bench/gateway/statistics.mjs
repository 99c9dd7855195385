/** Two-sided 95 % points of Student's t by degrees of freedom; beyond the table 1.96 is close enough. */
const T95 = [
  12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145,
];

/** The value below which this share of sorted numbers lies (nearest rank); NaN of none. */
export function quantile(sorted, share) {
  if (sorted.length === 0) return Number.NaN;
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))];
}

/** Middle of some numbers; of an even count the mean of the middle two. */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * Ratio of two figures that were taken side by side in each round: geometric mean with its 95 % interval (t of the
 * logarithms). With one round there is no interval. Rounds where either is no positive number do not count.
 */
export function ratioOverRounds(ours, theirs) {
  const logs = ours
    .map((value, round) => Math.log(value / theirs[round]))
    .filter((value) => Number.isFinite(value));
  const count = logs.length;
  if (count === 0) return undefined;
  const mean = logs.reduce((total, value) => total + value, 0) / count;
  if (count === 1) return { ratio: Math.exp(mean), low: undefined, high: undefined, rounds: 1 };
  const variance = logs.reduce((total, value) => total + (value - mean) ** 2, 0) / (count - 1);
  const half = (T95[count - 2] ?? 1.96) * Math.sqrt(variance / count);
  return { ratio: Math.exp(mean), low: Math.exp(mean - half), high: Math.exp(mean + half), rounds: count };
}
