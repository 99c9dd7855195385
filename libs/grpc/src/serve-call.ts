import type { DescMethod } from '@bufbuild/protobuf';
import { Metadata, type ServerDuplexStream, type StatusObject } from '@grpc/grpc-js';
import { context, SpanKind, trace } from '@opentelemetry/api';
import { ATTRIBUTES, METRICS } from '@thalamus/contracts';
import { ThalamusError, toThalamusError } from '@thalamus/errors';
import {
  contextFromHeaders,
  createLogger,
  durationHistogram,
  failSpan,
  tracer,
  type Logger,
} from '@thalamus/telemetry';
import { once } from 'node:events';
import { callContext, type CallContext } from './call-context.js';
import { methodPath } from './definition.js';
import { toGrpcStatus } from './status.js';

type Call = ServerDuplexStream<unknown, unknown> & { readonly request?: unknown };
type Callback = (error: Partial<StatusObject> | null, value?: unknown, trailer?: Metadata) => void;
type Method = (request: unknown, context: CallContext) => unknown;

let logger: Logger | undefined;
let duration: ReturnType<typeof durationHistogram> | undefined;

/** Counts calls that are being served, so that a server can end when the last one has. */
export interface CallCounter {
  started(): void;
  ended(): void;
}

/**
 * Makes a grpc-js handler of a typed method: context, span, duration metric, error status, and for streams flow control
 * (a value is asked of the generator only when the last one has been taken).
 */
export function serveCall(method: DescMethod, handler: Method, counter: CallCounter) {
  const clientStreams = method.methodKind === 'client_streaming' || method.methodKind === 'bidi_streaming';
  const path = methodPath(method).slice(1);
  return (call: Call, callback?: Callback): void => {
    counter.started();
    const startedAt = performance.now();
    const aborter = new AbortController();
    call.once('cancelled', () => {
      aborter.abort(new ThalamusError('CANCELLED', 'The caller cancelled the call.'));
    });
    const trailer = new Metadata();
    const callerContext = callContext(call, aborter.signal, trailer);
    const parent = contextFromHeaders(Object.fromEntries(callerContext.metadata));
    const attributes = { [ATTRIBUTES.rpcSystem]: 'grpc', [ATTRIBUTES.rpcMethod]: path };
    const span = tracer().startSpan(path, { kind: SpanKind.SERVER, attributes }, parent);
    const deadline = deadlineTimer(callerContext, aborter);
    const run = async () => {
      const request = clientStreams ? call.iterator({ destroyOnReturn: false }) : call.request;
      const result = handler(request, callerContext);
      if (callback) {
        const value = await result;
        callback(null, value, trailer);
      } else await sendAll(call, result as AsyncIterable<unknown>, aborter.signal, trailer);
    };
    void context
      .with(trace.setSpan(parent, span), run)
      .then(() => 'OK')
      .catch((fault: unknown) => {
        const error = toThalamusError(fault);
        failSpan(span, error);
        logFault(path, error);
        const status = toGrpcStatus(error);
        status.metadata.merge(trailer);
        if (callback) callback(status);
        else call.emit('error', status);
        return error.spec.grpc;
      })
      .then((statusName) => {
        clearTimeout(deadline);
        aborter.abort();
        span.setAttribute(ATTRIBUTES.rpcStatus, statusName);
        span.end();
        duration ??= durationHistogram(METRICS.rpcServerDuration, 'Duration of served gRPC calls.');
        duration.record((performance.now() - startedAt) / 1000, {
          [ATTRIBUTES.rpcMethod]: path,
          [ATTRIBUTES.rpcStatus]: statusName,
        });
        counter.ended();
      });
  };
}

async function sendAll(
  call: Call,
  values: AsyncIterable<unknown>,
  signal: AbortSignal,
  trailer: Metadata,
): Promise<void> {
  for await (const value of values) {
    if (signal.aborted) return;
    if (!call.write(value)) await once(call, 'drain', { signal });
  }
  call.end(trailer);
}

/** Node timers hold at most 2^31-1 ms; a later deadline needs none. */
function deadlineTimer(callerContext: CallContext, aborter: AbortController): NodeJS.Timeout | undefined {
  const remaining = callerContext.remainingMs();
  if (remaining > 2_147_483_647) return undefined;
  const fire = () => {
    aborter.abort(
      new ThalamusError(
        'DEADLINE_EXCEEDED',
        'The deadline of the call passed; allow more time or send less work.',
      ),
    );
  };
  return setTimeout(fire, Math.max(0, remaining)).unref();
}

function logFault(path: string, error: ThalamusError): void {
  if (error.code !== 'INTERNAL' && error.cause === undefined) return;
  logger ??= createLogger('grpc');
  logger.warn({ method: path, code: error.code, error: error.cause }, 'call failed');
}
