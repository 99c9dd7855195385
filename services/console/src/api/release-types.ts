/** Where a release stands. */
export type ReleaseState =
  'unspecified' | 'draft' | 'compared' | 'repaired' | 'shadow' | 'canary' | 'stable' | 'rolled_back';

/** A share of items with its 95 % interval, all 0 to 1. */
export interface Rate {
  readonly count: number;
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/** What the offline comparison says of a slice. */
export interface SliceFigures {
  /** Such as label=refund; empty for all items. */
  readonly slice: string;
  readonly n: number;
  readonly oldAccuracy: Rate;
  readonly newAccuracy: Rate;
  /** Right before, wrong now. */
  readonly negativeFlips: Rate;
  /** Wrong before, right now. */
  readonly positiveFlips: Rate;
  readonly backwardTrust: number;
  /** Two-sided exact p-value of equal accuracy. */
  readonly mcnemarP: number;
}

/** The offline comparison. */
export interface Comparison {
  readonly verdict: 'unspecified' | 'compatible' | 'incompatible' | 'inconclusive';
  readonly reason: string;
  readonly negativeFlipBudget: number;
  readonly overall: SliceFigures | null;
  /** Largest first. */
  readonly slices: readonly SliceFigures[];
}

/** One step of a release's path. */
export interface Transition {
  readonly state: ReleaseState;
  /** ISO time. */
  readonly at: string | null;
  /** Id of a key, or the gate. */
  readonly by: string;
  readonly reason: string;
  /** Digests of artifacts. */
  readonly evidence: readonly string[];
}

/** How a release goes on. */
export interface ReleasePlan {
  /** Weights of the canary, rising. */
  readonly steps: readonly number[];
  readonly negativeFlipBudget: number;
  readonly minimumSamples: number;
  readonly stepSeconds: number;
  readonly mirrorShare: number;
  readonly disagreementLimit: number;
  readonly errorLimit: number;
  /** Share of the stable version's time. */
  readonly latencyTolerance: number;
  readonly level: number;
}

/** What one always-valid test says now. */
export interface TestReading {
  /** Such as mirror.flips or canary.errors. */
  readonly test: string;
  readonly trials: number;
  /** Those of them that speak against the candidate. */
  readonly events: number;
  /** 0 to 1, as the ends of its confidence sequence and the limit. */
  readonly rate: number;
  readonly low: number;
  readonly high: number;
  readonly limit: number;
  readonly pValue: number;
  readonly alarm: boolean;
}

/** What live traffic has said of a candidate. */
export interface LiveReading {
  readonly mirrored: number;
  readonly stableRequests: number;
  readonly candidateRequests: number;
  readonly feedback: number;
  /** Of the present step. */
  readonly stepSamples: number;
  /** Labelled probes that both versions have answered. */
  readonly probed: number;
  readonly tests: readonly TestReading[];
}

/** How a rule of a gate stands. */
export type RuleStatus = 'unspecified' | 'pending' | 'passed' | 'failed' | 'inconclusive';

/** A rule of a gate, and what it says. */
export interface RuleStanding {
  readonly rule: string;
  /** Such as nfr. */
  readonly measure: string;
  /** contract, offline, approvals, shadow, canary or probes. */
  readonly data: string;
  readonly status: RuleStatus;
  /** So many people let it pass when it is inconclusive; 0: nobody can. */
  readonly approvals: number;
  /** Why; empty while it is pending. */
  readonly sentence: string;
}

/** The gate that a release goes by. */
export interface ReleaseGate {
  readonly name: string;
  /** Of the document among the artifacts. */
  readonly digest: string;
  readonly rules: readonly RuleStanding[];
  /** Who let inconclusive rules pass. */
  readonly approvals: readonly { readonly by: string; readonly reason: string; readonly at: string | null }[];
}

/** The last repair of a candidate that was asked for. */
export interface Repair {
  /** Id of its job. */
  readonly job: string;
  /** Both versions, data set, method, seed. */
  readonly parameters: Readonly<Record<string, string | number | boolean | readonly string[]>>;
  /** Id of a key. */
  readonly by: string;
  /** ISO time. */
  readonly at: string | null;
  /** Candidate before it. */
  readonly replacedVersion: string;
  /** What it gave was taken, or was not. */
  readonly ended: boolean;
}

/** The path of a candidate version. */
export interface Release {
  readonly id: string;
  readonly expert: string;
  /** Stable before it. */
  readonly fromVersion: string;
  /** The candidate. */
  readonly toVersion: string;
  readonly state: ReleaseState;
  /** Share of callers who get the candidate. */
  readonly weight: number;
  /** Oldest first. */
  readonly history: readonly Transition[];
  /** Null when nothing was compared offline. */
  readonly comparison: Comparison | null;
  /** Null without one. */
  readonly gate: ReleaseGate | null;
  readonly plan: ReleasePlan | null;
  /** Of the canary, from 1; 0 outside of it. */
  readonly step: number;
  /** Why it does not go on by itself; empty while it does. */
  readonly stopped: string;
  /** What it waits for; empty where nobody says. */
  readonly waitingFor: string;
  /** Null where nobody says. */
  readonly live: LiveReading | null;
  /** Labelled items that both versions are asked; null without any. */
  readonly probes: { readonly digest: string; readonly items: number } | null;
  /** Null where none was asked for. */
  readonly repair: Repair | null;
}

/** Some of the releases. */
export interface ReleasePage {
  /** Newest first. */
  readonly data: readonly Release[];
  readonly nextPageToken: string | null;
}

/** One item that the versions answer differently, one of them rightly. */
export interface Flip {
  readonly id: string;
  /** Right before and wrong now; else the reverse. */
  readonly negative: boolean;
  /** The right label. */
  readonly label: string;
  readonly oldPrediction: string;
  readonly newPrediction: string;
}

/** Flipped items of a release. */
export interface Flips {
  /** Null when nothing was compared offline. */
  readonly digest: string | null;
  readonly total: number;
  /** Negative ones first. */
  readonly data: readonly Flip[];
}
