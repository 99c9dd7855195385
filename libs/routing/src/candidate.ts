import type { Properties } from './costs.js';

/** An expert that may be chosen, as the decision sees it. */
export interface Candidate {
  readonly expert: string;
  /** Version of the stable channel. */
  readonly version: string;
  /** Version that the head was fitted on; undefined when the router model has no head for the expert. */
  readonly fittedVersion: string | undefined;
  readonly task: string;
  readonly licence: string;
  /** 0 to 1. */
  readonly trust: number;
  readonly parameterCount: number;
  /** Longest input in tokens. */
  readonly maxTokens: number;
  /** Tenants that may use it; empty means all. */
  readonly tenants: readonly string[];
  /** True, false, or undefined when nobody has said. */
  readonly healthy: boolean | undefined;
  readonly properties: Properties;
}

/** What a decision must obey. */
export interface RouteConstraints {
  readonly task: string;
  readonly tenant: string;
  /** Tokens that the answer needs; 0 means unknown. */
  readonly contextTokens: number;
  /** Only these; empty means all. */
  readonly experts: readonly string[];
  readonly limits: readonly {
    readonly name: keyof Properties;
    readonly atMost?: number;
    readonly atLeast?: number;
  }[];
  readonly policy: RoutePolicy | undefined;
}

/** What a tenant's policy demands; no flag loosens it. */
export interface RoutePolicy {
  readonly allowedExperts: readonly string[];
  readonly allowedLicences: readonly string[];
  readonly minTrust: number;
  /** 0 means no limit. */
  readonly maxParameters: number;
}
