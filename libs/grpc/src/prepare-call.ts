import { Metadata, type CallOptions as GrpcCallOptions } from '@grpc/grpc-js';
import { RPC_METADATA } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { headersFromContext } from '@thalamus/telemetry';
import type { CallOptions, Channel } from './channel.js';
import { fromGrpcError } from './status.js';

/** Everything a started call needs to be ended and measured. */
export interface PreparedCall {
  readonly metadata: Metadata;
  readonly grpcOptions: GrpcCallOptions;
  readonly signals: readonly AbortSignal[];
}

/**
 * Metadata, deadline and signals of a call. The deadline is the shorter of the call's own limit and what is left of the
 * call being served. @throws DEADLINE_EXCEEDED when nothing is left, UPSTREAM_UNAVAILABLE when the client has been closed, or
 * the reason of a signal that has fired
 */
export function prepareCall(channel: Channel, path: string, options: CallOptions): PreparedCall {
  const remaining = remainingMs(channel, options);
  if (remaining <= 0) {
    throw new ThalamusError(
      'DEADLINE_EXCEEDED',
      `No time was left to call ${path} at ${channel.address}; allow more time.`,
    );
  }
  if (channel.isClosed())
    throw new ThalamusError(
      'UPSTREAM_UNAVAILABLE',
      `The connection to ${channel.address} has been closed; ${path} was not called.`,
    );
  const signals = [options.signal, options.parent?.signal].filter((signal) => signal !== undefined);
  const fired = signals.find((signal) => signal.aborted);
  if (fired) throw abortError(fired, path);
  return {
    metadata: metadataOf(options),
    grpcOptions: remaining === Infinity ? {} : { deadline: Date.now() + remaining },
    signals,
  };
}

function remainingMs(channel: Channel, options: CallOptions): number {
  const wanted = options.deadlineMs ?? channel.defaultDeadlineMs;
  return Math.min(wanted === 'none' ? Infinity : wanted, options.parent?.remainingMs() ?? Infinity);
}

function metadataOf(options: CallOptions): Metadata {
  const metadata = new Metadata();
  for (const [key, value] of Object.entries(headersFromContext())) metadata.set(key, value);
  if (options.parent?.requestId) metadata.set(RPC_METADATA.requestId, options.parent.requestId);
  if (options.parent?.tenant) metadata.set(RPC_METADATA.tenant, options.parent.tenant);
  for (const [key, value] of Object.entries(options.metadata ?? {})) metadata.set(key, value);
  return metadata;
}

function abortError(signal: AbortSignal, path: string): ThalamusError {
  const reason: unknown = signal.reason;
  return ThalamusError.is(reason)
    ? reason
    : new ThalamusError('CANCELLED', `The call of ${path} was cancelled by its caller.`);
}

/** Cancels the call when a signal fires; returns what undoes the listening. */
export function cancelOn(prepared: PreparedCall, call: { cancel(): void }): () => void {
  const cancel = () => {
    call.cancel();
  };
  for (const signal of prepared.signals) signal.addEventListener('abort', cancel, { once: true });
  return () => {
    for (const signal of prepared.signals) signal.removeEventListener('abort', cancel);
  };
}

/** The error of a failed call: the reason of the signal that cancelled it, else what the server said. */
export function callFailure(
  fault: unknown,
  path: string,
  channel: Channel,
  prepared: PreparedCall | undefined,
): ThalamusError {
  const error = fromGrpcError(fault, `${path} at ${channel.address}`);
  const fired = error.code === 'CANCELLED' ? prepared?.signals.find((signal) => signal.aborted) : undefined;
  return fired ? abortError(fired, path) : error;
}
