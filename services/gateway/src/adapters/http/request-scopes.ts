import { context, SpanKind, trace, type Context, type Span } from '@opentelemetry/api';
import { ATTRIBUTES, HTTP_HEADERS, METRICS } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { contextFromHeaders, createLogger, histogram, failSpan, tracer } from '@thalamus/telemetry';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { randomUUID } from 'node:crypto';
import type { Admission } from '../../application/admission.js';
import type { Authenticate } from '../../application/authenticate.js';
import { requireRole, routeAccess, type Access } from '../../domain/access.js';
import type { Caller, RequestScope } from '../../domain/caller.js';
import { conversationOf, isRequestId } from '../../domain/request-id.js';

/** Paths that need a key even where nothing answers. */
const GUARDED = /^\/(v1|v2|admin)\//;
/** Answers that come token by token take their time. */
const CHAT = /^\/v1\/(chat\/)?completions$/;

/** Why what still works for a request ends with it; one for all, since a stack costs more than the rest of the end. */
const OVER = new ThalamusError('CANCELLED', 'The client went away.');

const scopes = new WeakMap<FastifyRequest, HttpScope>();

/** The scope of a request; undefined only when a request failed before its first hook. */
export function scopeOf(request: FastifyRequest): HttpScope | undefined {
  return scopes.get(request);
}

/** The scope of a request whose caller is known. @throws KEY_INVALID when it came past authentication */
export function callerScope(request: FastifyRequest): RequestScope {
  const scope = scopes.get(request);
  if (!scope?.caller) throw new ThalamusError('KEY_INVALID', 'The request has no caller.');
  return scope.withCaller(scope.caller);
}

/** What one HTTP request carries from its first byte to its last. */
class HttpScope {
  caller: Caller | undefined;
  conversation: string | undefined;
  leave: () => void = () => undefined;
  error: ThalamusError | undefined;
  readonly completion = { isRecorded: false };
  readonly limits: { readonly signal: AbortSignal; readonly deadlineAtMs: number };

  constructor(
    readonly requestId: string,
    readonly span: Span,
    readonly context: Context,
    readonly aborter: AbortController,
    timeoutMs: number,
  ) {
    this.limits = { signal: aborter.signal, deadlineAtMs: Date.now() + timeoutMs };
  }

  withCaller(caller: Caller): RequestScope {
    const { limits, requestId, completion, conversation } = this;
    return { ...limits, caller, requestId, completion, conversation };
  }

  fail(error: ThalamusError): void {
    this.error = error;
    failSpan(this.span, error);
  }
}

/** What the hooks need. */
export interface ScopeOptions {
  readonly authenticate: Authenticate;
  readonly admission: Admission;
  readonly requestTimeoutMs: number;
  readonly chatTimeoutMs: number;
}

/**
 * Gives each request an id, a span, a deadline, a caller and a place among those in flight; ends all of it when the
 * response is out or the client has gone, and writes one access line without any text of the request.
 */
export function openScopes(server: FastifyInstance, options: ScopeOptions): void {
  const logger = createLogger('access');
  const duration = histogram(METRICS.httpServerDuration);
  server.addHook('onRoute', ({ method, url, config }) => {
    for (const name of [method].flat())
      if (config?.isRefusal !== true && routeAccess(name, url) === undefined)
        throw new TypeError(`${name} ${url} has no entry in the table of access`);
  });
  server.addHook('onRequest', (request, reply, done) => {
    const timeoutMs = CHAT.test(request.routeOptions.url ?? '')
      ? options.chatTimeoutMs
      : options.requestTimeoutMs;
    const scope = open(request, timeoutMs);
    scopes.set(request, scope);
    const startedAt = performance.now();
    void reply.header(HTTP_HEADERS.requestId, scope.requestId);
    reply.raw.once('close', () => {
      end(request, reply, scope, (attributes, status) => {
        duration.record((performance.now() - startedAt) / 1000, attributes);
        context.with(scope.context, () => {
          const durationMs = Math.round((performance.now() - startedAt) * 100) / 100;
          const who = { tenant: scope.caller?.tenant, key: scope.caller?.id };
          const what = { method: request.method, route: routeOf(request), status, code: scope.error?.code };
          logger.info({ ...what, ...who, requestId: scope.requestId, durationMs }, 'request');
        });
      });
    });
    const access = accessOf(request);
    if (access !== 'open') {
      scope.caller = options.authenticate.run(request.headers.authorization);
      requireRole(scope.caller, access);
      scope.leave = options.admission.enter(scope.caller.tenant);
    }
    scope.conversation = conversationOf(request.headers[HTTP_HEADERS.conversation]);
    shorten(scope, request, timeoutMs);
    done();
  });
  // The events that carry a body run in a context of their own; from here on the request's is current.
  server.addHook('preHandler', (request, _reply, done) => {
    context.with(scopes.get(request)?.context ?? context.active(), done);
  });
}

function open(request: FastifyRequest, timeoutMs: number): HttpScope {
  const given = request.headers[HTTP_HEADERS.requestId];
  const requestId = typeof given === 'string' && isRequestId(given) ? given : randomUUID();
  const parent = contextFromHeaders(request.headers as Record<string, string | undefined>);
  const span = tracer().startSpan(
    `${request.method} ${routeOf(request)}`,
    {
      kind: SpanKind.SERVER,
      attributes: {
        [ATTRIBUTES.httpMethod]: request.method,
        [ATTRIBUTES.httpRoute]: routeOf(request),
        [ATTRIBUTES.requestId]: requestId,
      },
    },
    parent,
  );
  return new HttpScope(requestId, span, trace.setSpan(parent, span), new AbortController(), timeoutMs);
}

/** Takes the caller's own limit when it is shorter. @throws REQUEST_INVALID for one that is no number */
function shorten(scope: HttpScope, request: FastifyRequest, maxMs: number): void {
  const text = request.headers[HTTP_HEADERS.requestTimeoutMs];
  let timeoutMs = maxMs;
  if (text !== undefined) {
    const asked = Number(text);
    if (!Number.isInteger(asked) || asked < 1) {
      const field = HTTP_HEADERS.requestTimeoutMs;
      throw new ThalamusError(
        'REQUEST_INVALID',
        `The header ${field} must be a whole number of milliseconds.`,
        {
          violations: [{ field, description: 'must be a whole number of milliseconds, 1 or more' }],
        },
      );
    }
    timeoutMs = Math.min(asked, maxMs);
  }
  Object.assign(scope.limits, { deadlineAtMs: Date.now() + timeoutMs });
  const timer = setTimeout(() => {
    scope.aborter.abort(
      new ThalamusError('DEADLINE_EXCEEDED', `The answer was not ready within ${timeoutMs} ms; allow more.`),
    );
  }, timeoutMs);
  scope.limits.signal.addEventListener('abort', () => {
    clearTimeout(timer);
  });
}

function end(
  request: FastifyRequest,
  reply: FastifyReply,
  scope: HttpScope,
  report: (attributes: Record<string, string | number>, status: number) => void,
): void {
  scope.leave();
  const gone = !reply.raw.writableFinished;
  if (gone) scope.fail(new ThalamusError('CANCELLED', 'The client went away.'));
  scope.aborter.abort(OVER);
  const status = gone ? 499 : reply.raw.statusCode;
  const attributes = {
    [ATTRIBUTES.httpMethod]: request.method,
    [ATTRIBUTES.httpRoute]: routeOf(request),
    [ATTRIBUTES.httpStatus]: status,
    ...(scope.error ? { [ATTRIBUTES.errorType]: scope.error.code } : {}),
  };
  scope.span.setAttributes(attributes);
  scope.span.end();
  report(attributes, status);
}

/**
 * Who may use what a request found. By its route, so that no spelling of a path goes around the table; where there is no
 * route, paths of the API need a key all the same. @throws PERMISSION_DENIED for a route that has no entry
 */
function accessOf({ method, url, routeOptions }: FastifyRequest): Access {
  const pattern = routeOptions.url;
  if (pattern === undefined || routeOptions.config.isRefusal === true)
    return GUARDED.test(url) || GUARDED.test(pattern ?? '') ? 'viewer' : 'open';
  const access = routeAccess(method, pattern);
  if (access !== undefined) return access;
  throw new ThalamusError('PERMISSION_DENIED', 'No role is set for this route, so nobody may use it.');
}

/** The route's pattern; never the path itself, which callers choose. */
function routeOf(request: FastifyRequest): string {
  return request.routeOptions.url ?? 'none';
}
