import { context, SpanKind, trace, type Context, type Span } from '@opentelemetry/api';
import { ATTRIBUTES } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { contextFromHeaders, failSpan, tracer, type histogram } from '@thalamus/telemetry';
import type { IncomingMessage, ServerResponse } from 'node:http';

/** Why what still works for a request ends with it; one for all, since a stack costs more than the rest of the end. */
const OVER = new ThalamusError('CANCELLED', 'The client went away.');

/** Methods as a metric has them: callers must not make up label values. */
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

/** What an exchange is told of its server. */
export interface HttpExchangeOptions {
  /** The route's pattern; never the path itself, which callers choose. */
  readonly route: string;
  readonly timeoutMs: number;
  readonly duration: ReturnType<typeof histogram>;
}

/** One HTTP request from its head to the end of its answer: span, duration, deadline, and a signal that fires when either side is done. */
export class HttpExchange {
  private readonly aborter = new AbortController();
  private readonly span: Span;
  private readonly context: Context;
  private readonly startedAt = performance.now();
  private readonly deadlineAt: number;
  private readonly timer: NodeJS.Timeout;
  private readonly ends: (() => void)[] = [];
  private readonly method: string;
  private error: ThalamusError | undefined;

  constructor(
    request: IncomingMessage,
    private readonly response: ServerResponse,
    private readonly options: HttpExchangeOptions,
  ) {
    const { route, timeoutMs } = options;
    this.method = METHODS.has(request.method ?? '') ? (request.method ?? '') : 'other';
    const parent = contextFromHeaders(request.headers as Record<string, string | undefined>);
    const attributes = { [ATTRIBUTES.httpMethod]: this.method, [ATTRIBUTES.httpRoute]: route };
    this.span = tracer().startSpan(`${this.method} ${route}`, { kind: SpanKind.SERVER, attributes }, parent);
    this.context = trace.setSpan(parent, this.span);
    this.deadlineAt = performance.now() + timeoutMs;
    this.timer = setTimeout(() => {
      this.aborter.abort(
        new ThalamusError(
          'DEADLINE_EXCEEDED',
          `The answer was not ready within ${timeoutMs} ms; send less work, or set THALAMUS_REQUEST_TIMEOUT_MS.`,
        ),
      );
    }, timeoutMs);
    response.once('close', () => {
      this.end();
    });
  }

  /** Fires when the client has gone, the time is up, or the answer is out. */
  get signal(): AbortSignal {
    return this.aborter.signal;
  }

  remainingMs(): number {
    return Math.max(1, Math.ceil(this.deadlineAt - performance.now()));
  }

  /** Calls back when the answer is out, or the client gone. */
  onEnd(listener: () => void): void {
    this.ends.push(listener);
  }

  /** Runs work with the span of this request as the current one. */
  run<T>(work: () => Promise<T>): Promise<T> {
    return context.with(this.context, work);
  }

  /** The work's outcome, unless the signal fires first. @throws its reason */
  async orAborted<T>(work: Promise<T>): Promise<T> {
    let undo: () => void = () => undefined;
    const aborted = new Promise<never>((_resolve, reject) => {
      const fire = () => {
        reject(this.signal.reason as Error);
      };
      if (this.signal.aborted) fire();
      this.signal.addEventListener('abort', fire, { once: true });
      undo = () => {
        this.signal.removeEventListener('abort', fire);
      };
    });
    try {
      return await Promise.race([work, aborted]);
    } finally {
      undo();
    }
  }

  /** Remembers why the request failed. */
  fail(error: ThalamusError): void {
    this.error = error;
    failSpan(this.span, error);
  }

  private end(): void {
    clearTimeout(this.timer);
    const gone = !this.response.writableFinished;
    if (gone) this.fail(new ThalamusError('CANCELLED', 'The client went away.'));
    this.aborter.abort(OVER);
    for (const listener of this.ends.splice(0)) listener();
    const attributes = {
      [ATTRIBUTES.httpMethod]: this.method,
      [ATTRIBUTES.httpRoute]: this.options.route,
      [ATTRIBUTES.httpStatus]: gone ? 499 : this.response.statusCode,
      ...(this.error ? { [ATTRIBUTES.errorType]: this.error.code } : {}),
    };
    this.span.setAttributes(attributes);
    this.span.end();
    this.options.duration.record((performance.now() - this.startedAt) / 1000, attributes);
  }
}
