import type { DescMethod } from '@bufbuild/protobuf';
import type {
  ClientDuplexStream,
  ClientReadableStream,
  ClientUnaryCall,
  ClientWritableStream,
  ServiceError,
} from '@grpc/grpc-js';
import { context, SpanKind, trace } from '@opentelemetry/api';
import { ATTRIBUTES, METRICS } from '@thalamus/contracts';
import type { ThalamusError } from '@thalamus/errors';
import { failSpan, histogram, tracer, withSpan } from '@thalamus/telemetry';
import { textMetadata, type CallOptions, type Channel } from './channel.js';
import { methodDefinition, methodPath } from './definition.js';
import { callFailure, cancelOn, prepareCall, type PreparedCall } from './prepare-call.js';
import { fromGrpcError } from './status.js';
import { writeRequests } from './write-requests.js';

let callDuration: ReturnType<typeof histogram> | undefined;

function record(path: string, startedAt: number, code: string): void {
  callDuration ??= histogram(METRICS.rpcClientDuration);
  callDuration.record((performance.now() - startedAt) / 1000, {
    [ATTRIBUTES.rpcMethod]: path,
    [ATTRIBUTES.rpcStatus]: code,
  });
}

const spanOptions = (path: string) => ({
  kind: SpanKind.CLIENT,
  attributes: { [ATTRIBUTES.rpcSystem]: 'grpc', [ATTRIBUTES.rpcMethod]: path },
});

type Answered = (error: ServiceError | null, value: unknown) => void;
type SingleAnswerCall = ClientUnaryCall | ClientWritableStream<unknown>;

/** One request, one answer. */
export function unaryCall(channel: Channel, method: DescMethod) {
  const path = methodPath(method).slice(1);
  const definition = methodDefinition(method);
  return (request: unknown, options: CallOptions = {}): Promise<unknown> =>
    awaitAnswer(channel, path, options, (prepared, answered) =>
      channel.client.makeUnaryRequest(
        definition.path,
        definition.requestSerialize,
        definition.responseDeserialize,
        request,
        prepared.metadata,
        prepared.grpcOptions,
        answered,
      ),
    );
}

/** Many requests, one answer. */
export function clientStreamCall(channel: Channel, method: DescMethod) {
  const path = methodPath(method).slice(1);
  const definition = methodDefinition(method);
  return (requests: AsyncIterable<unknown>, options: CallOptions = {}): Promise<unknown> =>
    awaitAnswer(channel, path, options, (prepared, answered, fail) => {
      const call = channel.client.makeClientStreamRequest(
        definition.path,
        definition.requestSerialize,
        definition.responseDeserialize,
        prepared.metadata,
        prepared.grpcOptions,
        answered,
      );
      writeRequests(call, requests).catch((fault: unknown) => {
        call.cancel();
        fail(fromGrpcError(fault, path));
      });
      return call;
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
      writeRequests(call, requests).catch((fault: unknown) => {
        call.destroy(fault as Error);
        call.cancel();
      });
      return call;
    });
}

/** Runs a call with a single answer inside its span, and measures it. */
function awaitAnswer(
  channel: Channel,
  path: string,
  options: CallOptions,
  begin: (
    prepared: PreparedCall,
    answered: Answered,
    fail: (error: ThalamusError) => void,
  ) => SingleAnswerCall,
): Promise<unknown> {
  return withSpan(path, spanOptions(path), async (span) => {
    const startedAt = performance.now();
    const prepared = prepareCall(channel, path, options);
    let undo: () => void = () => undefined;
    let status = 'OK';
    try {
      return await new Promise((resolve, reject) => {
        const answered: Answered = (error, value) => {
          if (error) reject(callFailure(error, path, channel, prepared));
          else resolve(value);
        };
        const call = begin(prepared, answered, reject);
        const { onTrailer } = options;
        if (onTrailer) {
          call.on('status', ({ metadata }) => {
            onTrailer(textMetadata(metadata));
          });
        }
        undo = cancelOn(prepared, call);
      });
    } catch (fault) {
      const error = fromGrpcError(fault, path);
      status = error.spec.grpc;
      throw error;
    } finally {
      undo();
      span.setAttribute(ATTRIBUTES.rpcStatus, status);
      record(path, startedAt, status);
    }
  });
}

/** Reads answers one at a time, as they are asked for; leaving the loop cancels the call. */
async function* readAll(
  channel: Channel,
  path: string,
  options: CallOptions,
  begin: (prepared: PreparedCall) => ClientReadableStream<unknown> | ClientDuplexStream<unknown, unknown>,
): AsyncIterable<unknown> {
  const startedAt = performance.now();
  const span = tracer().startSpan(path, spanOptions(path));
  let code = 'OK';
  let undo: (() => void) | undefined;
  let call: ReturnType<typeof begin> | undefined;
  let prepared: PreparedCall | undefined;
  try {
    prepared = context.with(trace.setSpan(context.active(), span), () => prepareCall(channel, path, options));
    call = begin(prepared);
    if (options.onTrailer) call.on('status', ({ metadata }) => options.onTrailer?.(textMetadata(metadata)));
    undo = cancelOn(prepared, call);
    for await (const value of call) yield value as unknown;
  } catch (fault) {
    const error = callFailure(fault, path, channel, prepared);
    code = error.spec.grpc;
    failSpan(span, error);
    throw error;
  } finally {
    undo?.();
    call?.on('error', () => undefined);
    call?.cancel();
    span.setAttribute(ATTRIBUTES.rpcStatus, code);
    span.end();
    record(path, startedAt, code);
  }
}
