import type { ThalamusError } from '@thalamus/errors';

/** Where a remote expert is and what it asks for its work. */
export interface UpstreamTarget {
  readonly expert: string;
  readonly version: string;
  /** Base URL up to and including /v1. */
  readonly baseUrl: string;
  /** Model name there. */
  readonly model: string;
  /** Where the key is: `env:NAME_API_KEY` or `file:name` in the folder of keys; empty: none is sent. */
  readonly keyReference: string;
  readonly price: UpstreamPrice;
}

/** USD per million tokens. */
export interface UpstreamPrice {
  readonly input: number;
  readonly output: number;
}

/** Which endpoint of the upstream. */
export type ChatOperation = 'chat/completions' | 'completions';

/** One request, ready for any upstream but for the model's name there. */
export interface UpstreamRequest {
  readonly operation: ChatOperation;
  readonly body: Readonly<Record<string, unknown>>;
  readonly signal: AbortSignal;
  /** Unix time in milliseconds after which the answer is worthless. */
  readonly deadlineAtMs: number;
}

/** Tokens of one answer. */
export interface TokenUsage {
  readonly inputTokens: number;
  readonly outputTokens: number;
}

/** One event of a streamed answer: its text as the upstream sent it, and the tokens where it names them. */
export interface UpstreamEvent {
  readonly data: string;
  /** Set by the event that reports usage. */
  readonly usage: TokenUsage | undefined;
  /** True when the event carries nothing but usage. */
  readonly usageOnly: boolean;
}

/** A whole answer. */
export interface UpstreamAnswer {
  /** As the upstream sent it. */
  readonly text: string;
  /** The same, read. */
  readonly body: Readonly<Record<string, unknown>>;
  readonly usage: TokenUsage;
}

/** Asks OpenAI-compatible endpoints. Failures are UPSTREAM_UNAVAILABLE, UPSTREAM_ERROR, RATE_LIMITED, DEADLINE_EXCEEDED, CANCELLED. */
export interface ChatUpstream {
  complete(target: UpstreamTarget, request: UpstreamRequest): Promise<UpstreamAnswer>;
  /** Resolves once the upstream has begun to answer, so that before that another one can be asked. */
  stream(target: UpstreamTarget, request: UpstreamRequest): Promise<AsyncIterable<UpstreamEvent>>;
}

/** True when another upstream may do what this one could not. */
export function mayFallBack(error: ThalamusError): boolean {
  return (
    error.code === 'UPSTREAM_UNAVAILABLE' || error.code === 'UPSTREAM_ERROR' || error.code === 'RATE_LIMITED'
  );
}

/** Metadata of failures of upstreams that were not asked at all, so that asking another one is no second try. */
export const NOT_ASKED = { asked: 'no' } as const;

/** False when the failure came before the upstream was asked: its circuit is open, its key is missing. */
export function wasAsked({ metadata }: ThalamusError): boolean {
  return metadata['asked'] !== NOT_ASKED.asked;
}
