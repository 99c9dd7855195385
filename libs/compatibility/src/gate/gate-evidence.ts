import type { Comparison } from '../compare-pairs.js';
import type { ContractDifference } from '../contract/model-contract.js';
import type { FigureName } from './measures.js';

/** A figure that was measured outside of a comparison. */
export interface MeasuredFigure {
  readonly value: number;
  /** Trials, pairs or samples that it rests on. */
  readonly n: number;
  /** Ends of its interval; both absent for one that is exact, such as bytes. */
  readonly low?: number;
  readonly high?: number;
  /** Always-valid p-value of "it is at most the threshold", of a sequential monitor that watches it: then that alone decides. */
  readonly pValue?: number;
}

/** What is known of an update, by the name that rules call it: offline, shadow, canary, probes, contract, router, or a data set. */
export interface GateEvidence {
  readonly comparisons?: Readonly<Record<string, Comparison>>;
  readonly figures?: Readonly<Record<string, Readonly<Partial<Record<FigureName, MeasuredFigure>>>>>;
  /** Differences of the contracts, and why callers may break. */
  readonly contract?: { readonly differences: readonly ContractDifference[]; readonly override?: string };
  /** Who approved: names or ids; the same one counts once. */
  readonly approvals?: readonly string[];
}
