import type { GateRule } from './gate-document.js';

/** How a rule ended. */
export type GateStatus = 'passed' | 'failed' | 'inconclusive';

/** What a rule says of an update. */
export interface RuleResult {
  readonly rule: string;
  readonly measure: GateRule['measure'];
  readonly data: string;
  readonly slice: string;
  readonly threshold: number;
  readonly status: GateStatus;
  /** Figure, with its interval and what it rests on, where there is one. */
  readonly value?: number;
  readonly low?: number;
  readonly high?: number;
  readonly n?: number;
  /** Why, for people. */
  readonly sentence: string;
}

/** What is known of a rule before it is told. */
export type Finding = Pick<RuleResult, 'status' | 'sentence'> &
  Partial<Pick<RuleResult, 'value' | 'low' | 'high' | 'n'>>;

/** Nothing is known that the rule could look at. */
export function lacking(what: string): Finding {
  return { status: 'inconclusive', sentence: what };
}
