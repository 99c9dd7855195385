import type { Metadata } from '@grpc/grpc-js';
import { RPC_METADATA } from '@thalamus/contracts';

/** What a handler knows of the call it serves. */
export interface CallContext {
  /** Aborted when the caller cancels, goes away, or its deadline passes. */
  readonly signal: AbortSignal;
  /** Aborted when the server begins to drain: a watch, which has no end of its own, ends then. */
  readonly draining: AbortSignal;
  /** Unix time in milliseconds at which the caller stops waiting; undefined when it waits for ever. */
  readonly deadlineAtMs: number | undefined;
  /** Milliseconds left; Infinity without a deadline. */
  remainingMs(): number;
  /** First value of each text metadata entry, by lower-case name. */
  readonly metadata: ReadonlyMap<string, string>;
  /** Tenant named by a trusted service; empty when none. */
  readonly tenant: string;
  /** Request id named by the caller; empty when none. */
  readonly requestId: string;
  /** Adds an entry to the trailing metadata. */
  setTrailer(key: string, value: string): void;
}

/** A context for calls that start in this process, such as at start-up or in tests. */
export function localContext(
  options: { signal?: AbortSignal; draining?: AbortSignal; deadlineMs?: number } = {},
): CallContext {
  const deadlineAtMs = options.deadlineMs === undefined ? undefined : Date.now() + options.deadlineMs;
  return {
    signal: options.signal ?? new AbortController().signal,
    draining: options.draining ?? new AbortController().signal,
    deadlineAtMs,
    remainingMs: () => (deadlineAtMs === undefined ? Infinity : deadlineAtMs - Date.now()),
    metadata: new Map(),
    tenant: '',
    requestId: '',
    setTrailer: () => undefined,
  };
}

/** Builds the context of a served call. */
export function callContext(
  call: { readonly metadata: Metadata; getDeadline(): Date | number },
  parts: { readonly signal: AbortSignal; readonly draining: AbortSignal; readonly trailer: Metadata },
): CallContext {
  const deadline = call.getDeadline();
  const millis = deadline instanceof Date ? deadline.getTime() : deadline;
  const deadlineAtMs = Number.isFinite(millis) ? millis : undefined;
  const metadata = new Map<string, string>();
  for (const [key, value] of Object.entries(call.metadata.getMap())) {
    if (typeof value === 'string') metadata.set(key, value);
  }
  return {
    signal: parts.signal,
    draining: parts.draining,
    deadlineAtMs,
    remainingMs: () => (deadlineAtMs === undefined ? Infinity : deadlineAtMs - Date.now()),
    metadata,
    tenant: metadata.get(RPC_METADATA.tenant) ?? '',
    requestId: metadata.get(RPC_METADATA.requestId) ?? '',
    setTrailer: (key, value) => {
      parts.trailer.set(key, value);
    },
  };
}
