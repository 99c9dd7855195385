/** Where a measure comes from, and on which side of its threshold it is good. */
interface MeasureKind {
  /** A share of items of a comparison, another figure of one, differences of contracts, a figure that was measured, or people. */
  readonly from: 'share' | 'comparison' | 'contract' | 'figure' | 'approvals';
  readonly good: 'atMost' | 'atLeast';
  /** For the reference. */
  readonly meaning: string;
}

const kind = <From extends MeasureKind['from']>(from: From, good: MeasureKind['good'], meaning: string) => ({
  from,
  good,
  meaning,
});

/** Everything a rule can be about. */
export const MEASURES = {
  nfr: kind('share', 'atMost', 'share of items that were right and are wrong'),
  nfrMultipleChoice: kind('share', 'atMost', 'share of items that are wrong and were answered otherwise'),
  btc: kind('share', 'atLeast', 'share of what was right that still is'),
  accuracyAfter: kind('share', 'atLeast', 'accuracy of the new version'),
  scoreLower: kind('comparison', 'atMost', 'share of items with a lower score'),
  regressionSize: kind('comparison', 'atMost', 'mean loss of the items with a lower score'),
  accuracyDifference: kind('comparison', 'atLeast', 'accuracy, new less old'),
  breakingDifferences: kind(
    'contract',
    'atMost',
    'differences that break callers; an override with a reason settles them',
  ),
  riskyDifferences: kind('contract', 'atMost', 'differences that callers may notice'),
  errorRate: kind('figure', 'atMost', 'share of requests that the new version fails'),
  disagreement: kind('figure', 'atMost', 'share of mirrored requests with another answer'),
  slower: kind(
    'figure',
    'atMost',
    'share of pairs of requests in which the new version is slower, beyond the tolerance',
  ),
  slowTail: kind(
    'figure',
    'atMost',
    'share of requests that take the new version longer than 95 in 100 took the old one',
  ),
  worse: kind('figure', 'atMost', 'share of pairs of requests in which feedback on the new version is worse'),
  flips: kind('figure', 'atMost', 'share of labelled probes that were right and are wrong'),
  latencyRatio: kind('figure', 'atMost', 'latency, new over old'),
  memoryRatio: kind('figure', 'atMost', 'resident memory, new over old'),
  regret: kind(
    'figure',
    'atMost',
    'loss of a router’s choices above those of its predecessor, in the unit of its losses',
  ),
  changedChoices: kind(
    'figure',
    'atMost',
    'share of prompts that a router sends elsewhere than its predecessor',
  ),
  approvals: kind('approvals', 'atLeast', 'different people who have approved'),
} as const satisfies Readonly<Record<string, MeasureKind>>;

/** Name of a measure. */
export type Measure = keyof typeof MEASURES;

/** Names of the measures that are measured outside, such as latency. */
export type FigureName = {
  [Name in Measure]: (typeof MEASURES)[Name]['from'] extends 'figure' ? Name : never;
}[Measure];
