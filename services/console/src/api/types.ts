/** The endpoint fixes the task: classifications or chat. */
export type Task = 'text-classification' | 'text-generation';

/** Cost of one property of an expert: `value` on its absolute scale, 0 to 1, weighed with `weight` in the loss unit. */
export interface Cost {
  readonly name: string;
  readonly value: number;
  readonly weight: number;
}

/** One expert of a decision; losses in the loss unit of the router model. */
export interface RankedExpert {
  readonly expert: string;
  readonly predictedLoss: number;
  /** What outcomes have taught: added to the predicted loss. */
  readonly correction: number;
  readonly interval: readonly [low: number, high: number];
  readonly costs: readonly Cost[];
  readonly total: number;
}

/** Experts that a hard filter kept out. */
export interface Rejection {
  readonly filter: string;
  readonly count: number;
  readonly description?: string;
}

/** Why an expert was chosen. */
export interface Decision {
  readonly ranked: readonly RankedExpert[];
  readonly rejected: readonly Rejection[];
  readonly abstained: boolean;
  readonly reason: string;
  readonly lossUnit: string;
  readonly routerModel: string;
  readonly routerModelVersion: string;
  readonly truncated: boolean;
}

/** A label with its probability. */
export interface LabelScore {
  readonly label: string;
  readonly score: number;
}

/** What an expert answered to a text. */
export interface Classification {
  readonly expert: string;
  readonly version: string;
  readonly label: string;
  readonly scores: readonly LabelScore[];
  readonly timingsMs: Readonly<Record<string, number>>;
}

/** What a key may do; each role may do all that the one before may. */
export type Role = 'viewer' | 'operator' | 'admin';

/** Who is signed in. */
export interface Session {
  readonly tenant: string;
  readonly role: Role;
  /** Id of the key, or anonymous. */
  readonly key: string;
}

/** Prices of a remote version, USD per million tokens. */
export interface Prices {
  readonly inputUsdPerMtok: number;
  readonly outputUsdPerMtok: number;
}

/** A loss, in nats, after a number of steps. */
export interface LossPoint {
  readonly step: number;
  readonly loss: number;
}

/** Losses of a version while it was trained. */
export interface TrainingLosses {
  readonly training: readonly LossPoint[];
  readonly validation: readonly LossPoint[];
}

/** A version of an expert as people see it. */
export interface VersionRow {
  readonly version: string;
  readonly kind: string;
  readonly channels: readonly string[];
  readonly parameterCount: number;
  readonly sizeBytes: number;
  readonly licence: string;
  /** Absent for what costs nothing a token. */
  readonly prices?: Prices;
  readonly evaluation: readonly {
    dataset: string;
    split: string;
    metric: string;
    value: number;
    n: number;
  }[];
  readonly residents: readonly { host: string; state: string; memoryBytes: number; errorCode: string }[];
}

/** An expert with its versions. */
export interface ExpertRow {
  readonly name: string;
  readonly task: string;
  readonly description: string;
  readonly stable: string;
  /** Of its last change: what a change of ours expects it to be. */
  readonly revision: number;
  readonly versions: readonly VersionRow[];
}

/** Where a version stands on a host; a registered one is loaded when it is asked for. */
export type HostedState = 'registered' | 'loading' | 'ready' | 'draining' | 'failed';

/** A version that a host serves. */
export interface HostedVersion {
  readonly expert: string;
  readonly version: string;
  readonly state: HostedState;
  readonly memoryBytes: number;
  /** Those of them that it shares with nobody. */
  readonly ownBytes: number;
  readonly isPinned: boolean;
  /** Lower ones are let go first. */
  readonly priority: number;
  /** ISO time; null before its first request. */
  readonly lastUsedAt: string | null;
  /** Inference process that it runs in; empty while it is not loaded. */
  readonly process: string;
  /** Requests that wait for it to be loaded. */
  readonly waiting: number;
  readonly errorCode: string;
}

/** An inference process of a host. */
export interface HostProcess {
  readonly name: string;
  /** 0 while it is started again. */
  readonly pid: number;
  readonly openBytes: number;
  /** 0 where the system does not say. */
  readonly residentBytes: number;
}

/** What a host has in memory, bytes; counts since it started. */
export interface HostMemory {
  readonly limitBytes: number;
  readonly ownBytes: number;
  readonly sharedBytes: number;
  readonly loadsWaiting: number;
  readonly runsWaiting: number;
  readonly restarts: number;
  readonly recycles: number;
  readonly evictions: number;
  readonly processes: readonly HostProcess[];
  readonly spareBytes: number;
  readonly startedAt: string | null;
}

/** An expert host. */
export interface HostRow {
  readonly id: string;
  readonly address: string;
  /** Null for one that does not say. */
  readonly memory: HostMemory | null;
  readonly versions: readonly HostedVersion[];
  /** Versions that are left out, of experts that one may not use. */
  readonly hidden: number;
}

/** A router model of the registry. */
export interface RouterRow {
  readonly name: string;
  readonly version: string;
  readonly task: string;
  /** Whether it is the one that decides for its task. */
  readonly active: boolean;
  readonly experts: readonly string[];
  /** How it came to decide; null where it never did. */
  readonly activation: {
    readonly at: string | null;
    readonly previous: string | null;
    readonly rolledBack: string | null;
    readonly comparison: string | null;
    readonly reason: string | null;
  } | null;
  /** Experts that one may not use: they have a number in place of their name. */
  readonly hidden: number;
}

/** A figure with its 95 % interval; null where none was drawn. */
export interface MeasuredFigure {
  readonly value: number;
  readonly interval: readonly [low: number, high: number] | null;
}

/** What another way of choosing would have lost. */
export interface BaselineRow {
  readonly name: string;
  /** Expert that it always takes. */
  readonly expert: string | null;
  readonly loss: number;
  readonly regret: number;
  /** 95 % interval of its loss less the router's. */
  readonly behind: readonly [low: number, high: number] | null;
  readonly cost: number | null;
}

/** Predictions of one bin with what was measured; `error` is the standard error of the difference. */
export interface ReliabilityBin {
  readonly n: number;
  readonly predicted: number;
  readonly measured: number;
  readonly error: number | null;
}

/** Predicted against measured loss, of all experts or of the chosen ones. */
export interface ReliabilitySeries {
  readonly of: 'all' | 'chosen' | 'uncalibrated';
  readonly calibrationError: number;
  readonly bins: readonly ReliabilityBin[];
}

/** Loss against cost. */
export interface CostCurve {
  readonly axis: 'usdPerMillionTokens' | 'strongShare';
  readonly points: readonly {
    readonly weight: number | null;
    readonly cost: number;
    readonly loss: number;
  }[];
  readonly experts: readonly { readonly expert: string; readonly cost: number; readonly loss: number }[];
}

/** Shares of neighbours that agree; `best` is null where experts do equally well everywhere. */
export interface Agreement {
  readonly label: number;
  readonly best: number | null;
}

/** Where the prompts of the map are seen. */
export type SpaceName = 'encoder' | 'features' | 'losses';

/** Prompts as places, 0 to 1000. */
export interface PromptMap {
  readonly neighbours: number;
  readonly chance: Agreement;
  readonly labels: readonly string[];
  /** Index of the label of each prompt. */
  readonly label: readonly number[];
  /** Index of the expert chosen for each prompt. */
  readonly chosen: readonly number[];
  readonly spaces: readonly {
    readonly space: SpaceName;
    readonly purity: Agreement;
    readonly x: readonly number[];
    readonly y: readonly number[];
  }[];
}

/** How well a router model did on measured prompts. */
export interface RouterReport {
  readonly lossUnit: 'nats' | 'error';
  readonly dataset: string;
  readonly split: string;
  readonly n: number;
  readonly fitted: boolean;
  readonly date: string;
  readonly experts: readonly string[];
  readonly figures: {
    readonly loss: MeasuredFigure;
    readonly regret: MeasuredFigure;
    readonly top1: MeasuredFigure;
    readonly coverage: number;
    readonly targetCoverage: number;
    readonly brier: number | null;
    readonly cost: number | null;
  };
  readonly baselines: readonly BaselineRow[];
  readonly choices: readonly { readonly expert: string; readonly chosen: number; readonly best: number }[];
  readonly reliability: readonly ReliabilitySeries[];
  readonly pareto: CostCurve | null;
  readonly map: PromptMap;
  readonly notes: readonly string[];
}

/** An API key, without its secret. */
export interface KeyRow {
  readonly id: string;
  readonly tenant: string;
  readonly role: Role;
  readonly description: string;
  readonly createdAt: string | null;
  readonly revokedAt: string | null;
}

/** A key to be made. */
export interface NewKey {
  readonly tenant?: string;
  readonly role: Role;
  readonly description: string;
}

/** What a tenant may do; 0 and empty: not limited. */
export interface Policy {
  readonly tenant: string;
  readonly allowedExperts: readonly string[];
  readonly allowedLicences: readonly string[];
  readonly minTrust: number;
  readonly defaultWeights: Readonly<Record<string, number>>;
  readonly maxParameters: number;
  readonly requestsPerSecond: number;
  readonly maxInFlight: number;
  readonly fallbackExpert: string;
  readonly risk: { readonly alpha: number; readonly delta: number } | null;
  readonly onlineCorrection: 'on' | 'frozen' | 'off';
  readonly exploration: { readonly epsilon: number; readonly pool: number; readonly within: number } | null;
  readonly updatedAt: string | null;
  readonly updatedBy: string;
}

/** What happened in one second, and what has happened since the gateway started. */
export interface LiveSnapshot {
  readonly at: string;
  readonly requestsPerSecond: number;
  readonly errorsPerSecond: number;
  readonly latencyMs: { readonly p50: number; readonly p95: number };
  readonly totals: { readonly requests: number; readonly errors: number; readonly abstained: number };
  readonly wins: readonly { readonly expert: string; readonly count: number }[];
  readonly costUsd: number;
  readonly dearestUsd: number;
}
