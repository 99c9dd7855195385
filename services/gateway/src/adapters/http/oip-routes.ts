import { OIP_ROUTES, type OipCalls, type OipRoute } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ScopeOf } from '../../application/oip-front.js';
import { callerScope } from './request-scopes.js';

/** What the routes need. */
export interface OipHttpParts {
  readonly calls: OipCalls<ScopeOf>;
  readonly maxBodyBytes: number;
  /** Answers a failure. */
  readonly onFault: (fault: unknown, request: FastifyRequest, reply: FastifyReply) => void;
}

interface Params {
  readonly model?: string;
  readonly version?: string;
}

/**
 * Serves the Open Inference Protocol v2 over HTTP. In a context of its own, for its bodies are taken as bytes of any type: clients
 * of Triton name none, and put tensors behind the JSON.
 */
export async function serveOip(server: FastifyInstance, parts: OipHttpParts): Promise<void> {
  await server.register((scope, _options, done) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser(
      '*',
      { parseAs: 'buffer', bodyLimit: parts.maxBodyBytes },
      (_request, body, parsed) => {
        parsed(null, body);
      },
    );
    scope.setErrorHandler(parts.onFault);
    for (const route of OIP_ROUTES)
      scope.route({
        method: route.method,
        url: route.path,
        handler: (request, reply) => answer(route, parts, request, reply),
      });
    done();
  });
}

/**
 * A browser lets a page of another site post these types, or none, without asking us first, and callers without a key may infer on
 * the loopback. @throws MEDIA_TYPE_UNSUPPORTED for a page that sends another type than what it must ask for
 */
function refusePages({ method, headers }: FastifyRequest): void {
  if (method !== 'POST' || headers.origin === undefined) return;
  if (/^application\/(json|octet-stream)\s*(;|$)/i.test(headers['content-type'] ?? '')) return;
  throw new ThalamusError(
    'MEDIA_TYPE_UNSUPPORTED',
    'Pages in browsers send the type application/json or application/octet-stream.',
  );
}

async function answer(
  route: OipRoute,
  { calls, maxBodyBytes }: OipHttpParts,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  refusePages(request);
  const { model = '', version = '' } = request.params as Params;
  const body = request.body instanceof Uint8Array ? request.body : new Uint8Array();
  const question = { model, version, headers: request.headers, body, maxBodyBytes };
  const made = await route.answer(calls, question, () => callerScope(request));
  return reply.status(made.status).headers(made.headers).send(made.body);
}
