/** Cost of one property of an expert: `value` on its absolute scale, 0 to 1, weighed with `weight` nats. */
export interface Cost {
  readonly name: string;
  readonly value: number;
  readonly weight: number;
}

/** One expert of a decision; losses in the loss unit of the router model. */
export interface RankedExpert {
  readonly expert: string;
  readonly predictedLoss: number;
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

/** Who is signed in. */
export interface Session {
  readonly tenant: string;
  readonly role: 'viewer' | 'operator' | 'admin';
  readonly key: string;
}

/** A version of an expert as people see it. */
export interface VersionRow {
  readonly version: string;
  readonly kind: string;
  readonly channels: readonly string[];
  readonly parameterCount: number;
  readonly sizeBytes: number;
  readonly licence: string;
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
  readonly versions: readonly VersionRow[];
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
