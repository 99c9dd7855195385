import { Catch, HttpException, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import { OIP_ROUTES, oipErrorJson } from '@thalamus/contracts';
import { ThalamusError, toThalamusError } from '@thalamus/errors';
import { createLogger } from '@thalamus/telemetry';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { INFER_OPERATION } from '../../application/infer-tensors.js';
import type { Operation, RecordOutcome } from '../../application/record-outcome.js';
import { scopeOf } from './request-scopes.js';

/**
 * Answers every failure in the form of OpenAI, `{"error": {message, type, param, code}}`; below /v2 in that of the Open Inference
 * Protocol, `{"error": "CODE: message"}`.
 */
@Catch()
export class HttpErrorFilter implements ExceptionFilter {
  private readonly logger = createLogger('http');

  constructor(private readonly outcomes: RecordOutcome) {}

  catch(fault: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    this.answer(fault, http.getRequest<FastifyRequest>(), http.getResponse<FastifyReply>());
  }

  /** Sends the error; used by Fastify too, for what fails before a route is reached. */
  answer(fault: unknown, request: FastifyRequest, reply: FastifyReply): void {
    const error = translate(fault, request);
    const status = error.spec.http;
    const scope = scopeOf(request);
    scope?.fail(error);
    const operation = OPERATIONS.get(`${request.method} ${request.routeOptions.url ?? ''}`);
    if (operation && scope?.caller)
      this.outcomes.failedEarly(operation, scope.withCaller(scope.caller), error);
    if (error.code === 'INTERNAL')
      this.logger.error({ code: error.code, error: error.cause }, 'request failed');
    if (reply.sent) return;
    if (error.retryAfterMs !== undefined)
      void reply.header('retry-after', String(Math.ceil(error.retryAfterMs / 1000)));
    if (error.code === 'KEY_INVALID') void reply.header('www-authenticate', 'Bearer');
    void reply
      .status(status)
      .type('application/json')
      .send(bodyOf(error, request, scope?.requestId));
  }
}

function translate(fault: unknown, request: FastifyRequest): ThalamusError {
  const status = httpStatus(fault);
  const route = `${request.method} ${request.url.split('?')[0] ?? ''}`;
  switch (status) {
    case 404:
      return new ThalamusError(
        'RESOURCE_NOT_FOUND',
        `Nothing answers ${route.slice(0, 120)}; GET /openapi.json lists what does.`,
      );
    case 413:
      return new ThalamusError(
        'REQUEST_TOO_LARGE',
        `The request body is larger than the ${request.routeOptions.bodyLimit} bytes that ${route.slice(0, 120)} takes; send less at once.`,
      );
    case 415:
      return new ThalamusError('MEDIA_TYPE_UNSUPPORTED', 'Send a body of the type application/json.');
    case 400:
    case 414:
      return new ThalamusError(
        'REQUEST_INVALID',
        'The request could not be read: its path, its headers or its body are malformed.',
      );
    default:
      return toThalamusError(fault);
  }
}

/** Status of an error of Fastify or Nest; undefined for all others. */
function httpStatus(fault: unknown): number | undefined {
  if (fault instanceof ThalamusError) return undefined;
  if (fault instanceof HttpException) return fault.getStatus();
  const status = (fault as { statusCode?: unknown } | null)?.statusCode;
  return typeof status === 'number' ? status : undefined;
}

/** Requests whose end is told on the bus. */
const OPERATIONS: ReadonlyMap<string, Operation> = new Map<string, Operation>([
  ['POST /v1/chat/completions', { operation: 'chat/completions', task: 'text-generation' }],
  ['POST /v1/completions', { operation: 'completions', task: 'text-generation' }],
  ['POST /v1/classifications', { operation: 'classifications', task: 'text-classification' }],
  ['POST /v1/embeddings', { operation: 'embeddings', task: 'feature-extraction' }],
  ['POST /v1/route', { operation: 'route', task: '' }],
  ...OIP_ROUTES.filter(({ rpc }) => rpc === INFER_OPERATION.operation).map(
    ({ method, path }) => [`${method} ${path}`, INFER_OPERATION] as const,
  ),
]);

const OIP = /^\/v2(?:[/?]|$)/;

function bodyOf(error: ThalamusError, { url }: FastifyRequest, requestId: string | undefined) {
  return OIP.test(url) ? oipErrorJson(error) : errorJson(error, requestId);
}

/** The body of a failure in the form of OpenAI. */
export function errorJson(error: ThalamusError, requestId: string | undefined) {
  return {
    error: {
      message: error.message,
      type: typeOf(error.spec.http),
      param: error.violations[0]?.field ?? null,
      code: error.code,
      request_id: requestId ?? null,
    },
  };
}

/** Error types as OpenAI names them. */
function typeOf(status: number): string {
  if (status === 401) return 'authentication_error';
  if (status === 403) return 'permission_error';
  if (status === 429) return 'rate_limit_error';
  return status < 500 ? 'invalid_request_error' : 'server_error';
}
