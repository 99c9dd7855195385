/** How a continuous score of two versions changed, item by item. */
export interface ScoreChanges {
  readonly n: number;
  readonly meanChange: number;
  /** Share of items that got a lower score (strictly), 0 to 1: NFR of a continuous metric. */
  readonly lower: number;
  /** Share of items that got a higher score: PFR. */
  readonly higher: number;
  /** Mean change of the items that got a higher score; 0 when there are none: m_g. */
  readonly gainSize: number;
  /** Mean loss of the items that got a lower score, positive; 0 when there are none: m_r. */
  readonly regressionSize: number;
}

/**
 * Flips of a continuous metric such as ROUGE (MUSCLE, arXiv 2407.09435, section 3): which items got worse, however little, and by how
 * much. `before` and `after` hold the scores of the same items in the same order; higher is better.
 * @throws RangeError for lists of unlike length, and for scores that are no finite numbers
 */
export function scoreChanges(before: readonly number[], after: readonly number[]): ScoreChanges {
  if (before.length !== after.length)
    throw new RangeError(
      `Score changes: ${before.length} scores of the old version and ${after.length} of the new; both score the same items.`,
    );
  const changes = before.map((score, at) => after[at]! - score);
  const odd = changes.findIndex((change) => !Number.isFinite(change));
  if (odd >= 0) throw new RangeError(`Score changes: item ${odd} has a score that is no finite number.`);
  const gains = changes.filter((change) => change > 0);
  const losses = changes.filter((change) => change < 0);
  const n = changes.length;
  const share = (part: readonly number[]) => (n === 0 ? 0 : part.length / n);
  return {
    n,
    meanChange: mean(changes),
    lower: share(losses),
    higher: share(gains),
    gainSize: mean(gains),
    regressionSize: Math.abs(mean(losses)),
  };
}

function mean(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;
}
