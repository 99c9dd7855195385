import type { Client, Metadata } from '@grpc/grpc-js';
import type { CallContext } from './call-context.js';

/** Limits and context of one call. */
export interface CallOptions {
  /** Cancels the call. */
  readonly signal?: AbortSignal;
  /** Milliseconds until the call is given up; 'none' for watches. Default: the client's. */
  readonly deadlineMs?: number | 'none';
  /** The call being served: its remaining time and its cancellation are passed on, and its request id and tenant. */
  readonly parent?: CallContext;
  /** More metadata. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Called with the trailing metadata. */
  readonly onTrailer?: (trailer: ReadonlyMap<string, string>) => void;
}

/** What the four kinds of call share. */
export interface Channel {
  readonly client: Client;
  readonly address: string;
  readonly defaultDeadlineMs: number;
  /** True once the client has been closed: its calls would fail inside the transport. */
  readonly isClosed: () => boolean;
}

/** Text metadata as a map, for callers that read trailers. */
export function textMetadata(metadata: Metadata): ReadonlyMap<string, string> {
  const entries = Object.entries(metadata.getMap()).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string',
  );
  return new Map(entries);
}
