import type { DescMethod } from '@bufbuild/protobuf';
import { Metadata, type ServerDuplexStream, type StatusObject } from '@grpc/grpc-js';
import { context, SpanKind, trace, type Span } from '@opentelemetry/api';
import { ATTRIBUTES, METRICS } from '@thalamus/contracts';
import { ThalamusError, toThalamusError } from '@thalamus/errors';
import {
  contextFromHeaders,
  createLogger,
  histogram,
  failSpan,
  tracer,
  type Logger,
} from '@thalamus/telemetry';
import { once } from 'node:events';
import { callContext, type CallContext } from './call-context.js';
import { methodCodec, methodPath, type MethodCodec } from './definition.js';
import { toGrpcStatus } from './status.js';
import { refuseUnknownFields } from './unknown-fields.js';
import { untilAborted } from './until-aborted.js';

type Call = ServerDuplexStream<Buffer, Buffer> & { readonly request?: Buffer };
type Callback = (error: Partial<StatusObject> | null, value?: Buffer, trailer?: Metadata) => void;
type Method = (request: unknown, context: CallContext) => unknown;

let logger: Logger | undefined;
let duration: ReturnType<typeof histogram> | undefined;

/** What the calls of a server share. */
export interface ServeOptions {
  /** Called when a call begins and when it has ended, so that a server can end when the last one has. */
  readonly started: () => void;
  readonly ended: () => void;
  /** Fires when the server begins to drain. */
  readonly draining: AbortSignal;
  /** True for probes: neither spans nor metrics. */
  readonly quiet?: boolean;
}

/**
 * Makes a grpc-js handler of a typed method: decoding, context, span, duration metric, error status, and for streams flow
 * control (a value is asked of the generator only when the last one has been taken).
 */
export function serveCall(method: DescMethod, handler: Method, options: ServeOptions) {
  const clientStreams = method.methodKind === 'client_streaming' || method.methodKind === 'bidi_streaming';
  const path = methodPath(method).slice(1);
  const codec = methodCodec(method);
  const decode = (bytes: Buffer) => decodeRequest(method, codec, bytes);
  return (call: Call, callback?: Callback): void => {
    options.started();
    const startedAt = performance.now();
    const aborter = new AbortController();
    const trailer = new Metadata();
    const callerContext = callContext(call, {
      signal: aborter.signal,
      draining: options.draining,
      trailer,
    });
    call.once('cancelled', () => {
      // grpc-js says so after every answer too; then there is nothing left to abort, and no error need be made.
      if (aborter.signal.aborted) return;
      aborter.abort(callerContext.remainingMs() <= TRANSIT_MS ? tooLate() : goneAway());
    });
    const parent = contextFromHeaders(Object.fromEntries(callerContext.metadata));
    const span = options.quiet ? undefined : serverSpan(path, parent);
    const deadline = deadlineTimer(callerContext, aborter);
    const run = async () => {
      const request = clientStreams ? decodeAll(call, decode) : decode(call.request ?? Buffer.alloc(0));
      const result = handler(request, callerContext);
      if (callback) {
        const bytes = codec.encodeAnswer(await result);
        callback(null, bytes, trailer);
      } else await sendAll(call, result as AsyncIterable<unknown>, codec, aborter.signal);
      if (!callback) call.end(trailer);
    };
    void context
      .with(span ? trace.setSpan(parent, span) : parent, run)
      .then(() => 'OK')
      .catch((fault: unknown) => {
        const error = toThalamusError(fault);
        if (span) failSpan(span, error);
        context.with(span ? trace.setSpan(parent, span) : parent, () => {
          logFault(path, error);
        });
        const status = toGrpcStatus(error);
        status.metadata.merge(trailer);
        if (callback) callback(status);
        else call.emit('error', status);
        return error.spec.grpc;
      })
      .then((statusName) => {
        clearTimeout(deadline);
        aborter.abort(OVER);
        if (span) measure(span, path, startedAt, statusName);
        options.ended();
      });
  };
}

function serverSpan(path: string, parent: ReturnType<typeof contextFromHeaders>): Span {
  const attributes = { [ATTRIBUTES.rpcSystem]: 'grpc', [ATTRIBUTES.rpcMethod]: path };
  return tracer().startSpan(path, { kind: SpanKind.SERVER, attributes }, parent);
}

function measure(span: Span, path: string, startedAt: number, statusName: string): void {
  span.setAttribute(ATTRIBUTES.rpcStatus, statusName);
  span.end();
  duration ??= histogram(METRICS.rpcServerDuration);
  duration.record((performance.now() - startedAt) / 1000, {
    [ATTRIBUTES.rpcMethod]: path,
    [ATTRIBUTES.rpcStatus]: statusName,
  });
}

/** @throws REQUEST_INVALID for bytes that are not such a message, or hold unknown fields; the bytes are never quoted */
function decodeRequest(method: DescMethod, codec: MethodCodec, bytes: Buffer): unknown {
  let message: ReturnType<MethodCodec['decodeRequest']>;
  try {
    message = codec.decodeRequest(bytes);
  } catch {
    throw new ThalamusError(
      'REQUEST_INVALID',
      `The request is not a ${method.input.typeName}: it breaks off, holds a wrong wire type, or a text that is not UTF-8.`,
    );
  }
  refuseUnknownFields(method.input, message);
  return message;
}

async function* decodeAll(call: Call, decode: (bytes: Buffer) => unknown): AsyncIterable<unknown> {
  // Left open when the handler stops reading: a destroyed call could not carry the status any more.
  for await (const bytes of call.iterator({ destroyOnReturn: false })) yield decode(bytes as Buffer);
}

async function sendAll(
  call: Call,
  values: AsyncIterable<unknown>,
  codec: MethodCodec,
  signal: AbortSignal,
): Promise<void> {
  const source = values[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await untilAborted(source.next(), signal);
      if (next.done) return;
      if (!call.write(codec.encodeAnswer(next.value))) await once(call, 'drain', { signal });
      signal.throwIfAborted();
    }
  } catch (fault) {
    // Not awaited: a generator that waits for something ends when that comes.
    void Promise.resolve(source.return?.()).catch(() => undefined);
    throw signal.aborted ? signal.reason : fault;
  }
}

/**
 * A deadline is counted from the arrival of the call, so the caller's own runs out a little earlier and its reset is here
 * first: a call that ends so close to its deadline ended because of it.
 */
const TRANSIT_MS = 250;

/** Node timers hold at most 2^31-1 ms; a later deadline needs none. */
function deadlineTimer(callerContext: CallContext, aborter: AbortController): NodeJS.Timeout | undefined {
  const remaining = callerContext.remainingMs();
  if (remaining > 2_147_483_647) return undefined;
  const fire = () => {
    aborter.abort(tooLate());
  };
  return setTimeout(fire, Math.max(0, remaining)).unref();
}

/** Why the signal of a call fires that has ended; one for all, as an error of its own costs its stack. */
const OVER = new ThalamusError('CANCELLED', 'The call has ended.');

const goneAway = () => new ThalamusError('CANCELLED', 'The caller cancelled the call.');

const tooLate = () =>
  new ThalamusError(
    'DEADLINE_EXCEEDED',
    'The deadline of the call passed; allow more time or send less work.',
  );

function logFault(path: string, error: ThalamusError): void {
  if (error.code !== 'INTERNAL' && error.cause === undefined) return;
  logger ??= createLogger('grpc');
  logger.warn({ method: path, code: error.code, error: error.cause }, 'call failed');
}
