/** How the task of a parent would fare, estimated on a few of its rows. */
export interface TaskEstimate {
  readonly parent: string;
  readonly rows: number;
  /** `train` where there are no rows to judge by, which the parent may know by heart. */
  readonly split: 'test' | 'train';
  /** Accuracy of the parent alone on the rows, 0 to 1. */
  readonly alone: number;
  /** Estimated accuracy of the composition on them, 0 to 1. */
  readonly composed: number;
  /** 95 % interval of that for the drawing of the rows. */
  readonly composedLow: number;
  readonly composedHigh: number;
  /** Share of the rows that a router, fitted to other rows, gives to the parent. */
  readonly routed: number;
}

/** What the tasks of a composition would keep. An estimate: the interval tells of the drawing of rows, and of nothing else. */
export interface QualityEstimate {
  /** Whose answers were taken: those of the merged weights, or of the parents themselves. */
  readonly basis: 'merged' | 'parents';
  /** What the estimate leaves out. */
  readonly note: string;
  readonly tasks: readonly TaskEstimate[];
  /** Mean over the tasks of composed divided by alone; tasks whose parent is never right are left out. */
  readonly normalized: number;
  readonly normalizedLow: number;
  readonly normalizedHigh: number;
}

/** How a row came out. */
export interface ProbedRow {
  readonly alone: boolean;
  readonly composed: boolean;
  readonly routed: boolean;
}

/** An estimate of a task from its rows, of which there is at least one. */
export function taskEstimate(
  parent: string,
  split: TaskEstimate['split'],
  rows: readonly ProbedRow[],
): TaskEstimate {
  const count = (isCounted: (row: ProbedRow) => boolean) => rows.filter(isCounted).length;
  const [alone, composed] = [count((row) => row.alone), count((row) => row.composed)];
  const both = count((row) => row.alone && row.composed);
  const n = rows.length;
  const { low, high } = pairedDifference({ n, first: alone, second: composed, both });
  return {
    parent,
    rows: n,
    split,
    alone: alone / n,
    composed: composed / n,
    composedLow: Math.max(0, alone / n - high),
    composedHigh: Math.min(1, alone / n - low),
    routed: count((row) => row.routed) / n,
  };
}

/** The estimate of all tasks; the half-widths of their intervals add up as those of independent numbers. */
export function qualityEstimate(
  tasks: readonly TaskEstimate[],
  { basis, note }: Pick<QualityEstimate, 'basis' | 'note'>,
): QualityEstimate {
  const able = tasks.filter(({ alone }) => alone > 0);
  const mean = (read: (task: TaskEstimate) => number) =>
    able.reduce((sum, task) => sum + read(task), 0) / able.length;
  const normalized = mean(({ composed, alone }) => composed / alone);
  const spread = (end: 'composedLow' | 'composedHigh') =>
    Math.sqrt(able.reduce((sum, task) => sum + ((task[end] - task.composed) / task.alone) ** 2, 0)) /
    able.length;
  return {
    basis,
    note,
    tasks,
    normalized,
    normalizedLow: Math.max(0, normalized - spread('composedLow')),
    normalizedHigh: normalized + spread('composedHigh'),
  };
}

/** Two-sided, 95 %. */
const Z = 1.959964;

/** Wilson's score interval of a share (Wilson 1927). */
export function wilson(count: number, n: number): { readonly low: number; readonly high: number } {
  const share = count / n;
  const middle = (share + (Z * Z) / (2 * n)) / (1 + (Z * Z) / n);
  const half = (Z * Math.sqrt((share * (1 - share)) / n + (Z * Z) / (4 * n * n))) / (1 + (Z * Z) / n);
  return { low: Math.max(0, middle - half), high: Math.min(1, middle + half) };
}

/** Counts of rows that two answers are right on. */
export interface PairedCounts {
  readonly n: number;
  readonly first: number;
  readonly second: number;
  readonly both: number;
}

/**
 * 95 % interval of the difference of two shares of the same rows, first minus second (Newcombe 1998, Improved confidence intervals
 * for the difference between binomial proportions based on paired data, method 8).
 */
export function pairedDifference({ n, first, second, both }: PairedCounts): {
  readonly low: number;
  readonly high: number;
} {
  const [p, q] = [first / n, second / n];
  const [a, b] = [wilson(first, n), wilson(second, n)];
  const neither = n - first - second + both;
  const product = first * (n - first) * second * (n - second);
  const correlation =
    product === 0 ? 0 : (both * neither - (first - both) * (second - both)) / Math.sqrt(product);
  const half = (u: number, v: number) => Math.sqrt(Math.max(0, u * u - 2 * correlation * u * v + v * v));
  return { low: p - q - half(p - a.low, b.high - q), high: p - q + half(a.high - p, q - b.low) };
}
