import type { DescMethod } from '@bufbuild/protobuf';
import {
  Metadata,
  type CallOptions as GrpcCallOptions,
  type ClientDuplexStream,
  type ClientReadableStream,
  type ClientWritableStream,
  type ServiceError,
} from '@grpc/grpc-js';
import { context, SpanKind, trace } from '@opentelemetry/api';
import { ATTRIBUTES, METRICS, RPC_METADATA } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { durationHistogram, headersFromContext, tracer, failSpan, withSpan } from '@thalamus/telemetry';
import { once } from 'node:events';
import { methodDefinition, methodPath } from './definition.js';
import { textMetadata, type CallOptions, type Channel } from './rpc-client.js';
import { fromGrpcError } from './status.js';

let histogram: ReturnType<typeof durationHistogram> | undefined;

/** Everything a started call needs to be ended and measured. */
interface Prepared {
  readonly metadata: Metadata;
  readonly grpcOptions: GrpcCallOptions;
  readonly signals: readonly AbortSignal[];
}

function prepare(channel: Channel, path: string, options: CallOptions): Prepared {
  const wanted = options.deadlineMs ?? channel.defaultDeadlineMs;
  const own = wanted === 'none' ? Infinity : wanted;
  const remaining = Math.min(own, options.parent?.remainingMs() ?? Infinity);
  if (remaining <= 0) {
    throw new ThalamusError(
      'DEADLINE_EXCEEDED',
      `No time was left to call ${path} at ${channel.address}; allow more time.`,
    );
  }
  const signals = [options.signal, options.parent?.signal].filter((signal) => signal !== undefined);
  for (const signal of signals) {
    if (signal.aborted) throw abortError(signal, path);
  }
  const metadata = new Metadata();
  for (const [key, value] of Object.entries(headersFromContext())) metadata.set(key, value);
  if (options.parent?.requestId) metadata.set(RPC_METADATA.requestId, options.parent.requestId);
  if (options.parent?.tenant) metadata.set(RPC_METADATA.tenant, options.parent.tenant);
  for (const [key, value] of Object.entries(options.metadata ?? {})) metadata.set(key, value);
  return {
    metadata,
    grpcOptions: remaining === Infinity ? {} : { deadline: Date.now() + remaining },
    signals,
  };
}

function abortError(signal: AbortSignal, path: string): ThalamusError {
  const reason: unknown = signal.reason;
  return ThalamusError.is(reason)
    ? reason
    : new ThalamusError('CANCELLED', `The call of ${path} was cancelled by its caller.`);
}

/** Cancels the call when a signal fires; returns what undoes the listening. */
function cancelOn(prepared: Prepared, call: { cancel(): void }): () => void {
  const cancel = () => {
    call.cancel();
  };
  for (const signal of prepared.signals) signal.addEventListener('abort', cancel, { once: true });
  return () => {
    for (const signal of prepared.signals) signal.removeEventListener('abort', cancel);
  };
}

function record(path: string, startedAt: number, code: string): void {
  histogram ??= durationHistogram(METRICS.rpcClientDuration, 'Duration of gRPC calls made.');
  histogram.record((performance.now() - startedAt) / 1000, {
    [ATTRIBUTES.rpcMethod]: path,
    [ATTRIBUTES.rpcStatus]: code,
  });
}

const spanOptions = (path: string) => ({
  kind: SpanKind.CLIENT,
  attributes: { [ATTRIBUTES.rpcSystem]: 'grpc', [ATTRIBUTES.rpcMethod]: path },
});

/** One request, one answer. */
export function unaryCall(channel: Channel, method: DescMethod) {
  const path = methodPath(method).slice(1);
  const definition = methodDefinition(method);
  return (request: unknown, options: CallOptions = {}): Promise<unknown> =>
    withSpan(path, spanOptions(path), () => {
      const startedAt = performance.now();
      const prepared = prepare(channel, path, options);
      return new Promise((resolve, reject) => {
        const finish = (error: ServiceError | null, value: unknown) => {
          undo();
          const failure = error ? fromGrpcError(error, `${path} at ${channel.address}`) : undefined;
          record(path, startedAt, failure?.spec.grpc ?? 'OK');
          if (failure) reject(failure);
          else resolve(value);
        };
        const call = channel.client.makeUnaryRequest(
          definition.path,
          definition.requestSerialize,
          definition.responseDeserialize,
          request,
          prepared.metadata,
          prepared.grpcOptions,
          finish,
        );
        if (options.onTrailer)
          call.on('status', ({ metadata }) => options.onTrailer?.(textMetadata(metadata)));
        const undo = cancelOn(prepared, call);
      });
    });
}

/** One request, many answers. */
export function serverStreamCall(channel: Channel, method: DescMethod) {
  const path = methodPath(method).slice(1);
  const definition = methodDefinition(method);
  return (request: unknown, options: CallOptions = {}): AsyncIterable<unknown> =>
    readAll(channel, path, options, (prepared) =>
      channel.client.makeServerStreamRequest(
        definition.path,
        definition.requestSerialize,
        definition.responseDeserialize,
        request,
        prepared.metadata,
        prepared.grpcOptions,
      ),
    );
}

/** Many requests, one answer. */
export function clientStreamCall(channel: Channel, method: DescMethod) {
  const path = methodPath(method).slice(1);
  const definition = methodDefinition(method);
  return (requests: AsyncIterable<unknown>, options: CallOptions = {}): Promise<unknown> =>
    withSpan(path, spanOptions(path), () => {
      const startedAt = performance.now();
      const prepared = prepare(channel, path, options);
      return new Promise((resolve, reject) => {
        const finish = (error: ServiceError | null, value: unknown) => {
          undo();
          const failure = error ? fromGrpcError(error, `${path} at ${channel.address}`) : undefined;
          record(path, startedAt, failure?.spec.grpc ?? 'OK');
          if (failure) reject(failure);
          else resolve(value);
        };
        const call = channel.client.makeClientStreamRequest(
          definition.path,
          definition.requestSerialize,
          definition.responseDeserialize,
          prepared.metadata,
          prepared.grpcOptions,
          finish,
        );
        const undo = cancelOn(prepared, call);
        writeAll(call, requests).catch((fault: unknown) => {
          call.cancel();
          reject(fromGrpcError(fault, path));
        });
      });
    });
}

/** Many requests, many answers. */
export function bidiCall(channel: Channel, method: DescMethod) {
  const path = methodPath(method).slice(1);
  const definition = methodDefinition(method);
  return (requests: AsyncIterable<unknown>, options: CallOptions = {}): AsyncIterable<unknown> =>
    readAll(channel, path, options, (prepared) => {
      const call = channel.client.makeBidiStreamRequest(
        definition.path,
        definition.requestSerialize,
        definition.responseDeserialize,
        prepared.metadata,
        prepared.grpcOptions,
      );
      writeAll(call, requests).catch((fault: unknown) => call.destroy(fault as Error));
      return call;
    });
}

async function writeAll(
  call: ClientWritableStream<unknown> | ClientDuplexStream<unknown, unknown>,
  requests: AsyncIterable<unknown>,
): Promise<void> {
  let open = true;
  const closed = () => {
    open = false;
  };
  call.once('close', closed);
  call.once('status', closed);
  for await (const request of requests) {
    if (!open) return;
    if (!call.write(request)) await Promise.race([once(call, 'drain'), once(call, 'close')]);
  }
  call.end();
}

async function* readAll(
  channel: Channel,
  path: string,
  options: CallOptions,
  begin: (prepared: Prepared) => ClientReadableStream<unknown> | ClientDuplexStream<unknown, unknown>,
): AsyncIterable<unknown> {
  const startedAt = performance.now();
  const span = tracer().startSpan(path, spanOptions(path));
  let code = 'OK';
  let undo: (() => void) | undefined;
  let call: ReturnType<typeof begin> | undefined;
  try {
    const prepared = context.with(trace.setSpan(context.active(), span), () =>
      prepare(channel, path, options),
    );
    call = begin(prepared);
    if (options.onTrailer) call.on('status', ({ metadata }) => options.onTrailer?.(textMetadata(metadata)));
    undo = cancelOn(prepared, call);
    for await (const value of call) yield value as unknown;
  } catch (fault) {
    const error = fromGrpcError(fault, `${path} at ${channel.address}`);
    code = error.spec.grpc;
    failSpan(span, error);
    throw error;
  } finally {
    undo?.();
    call?.on('error', () => undefined);
    call?.cancel();
    span.end();
    record(path, startedAt, code);
  }
}
