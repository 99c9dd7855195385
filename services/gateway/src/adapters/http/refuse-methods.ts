import { ThalamusError } from '@thalamus/errors';
import type { FastifyInstance, HTTPMethods } from 'fastify';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** True for routes that only say which methods the path has. */
    readonly isRefusal?: boolean;
  }
}

const METHODS: readonly HTTPMethods[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

/**
 * Remembers the methods of each path as routes are added; the returned function adds, for all other methods, a route
 * that answers 405 with `Allow`. Call it once every route is there.
 */
export function refuseOtherMethods(server: FastifyInstance): () => void {
  const taken = new Map<string, Set<string>>();
  server.addHook('onRoute', ({ url, method }) => {
    const methods = taken.get(url) ?? new Set();
    for (const name of [method].flat()) methods.add(name);
    taken.set(url, methods);
  });
  return () => {
    for (const [url, methods] of [...taken]) {
      if (url === '*' || url === '/*') continue;
      const refused = METHODS.filter((method) => !methods.has(method));
      const allow = [...methods].sort().join(', ');
      server.route({
        method: refused,
        url,
        config: { isRefusal: true },
        onRequest: (request, reply, done) => {
          void reply.header('allow', allow);
          done(
            new ThalamusError('METHOD_NOT_ALLOWED', `${request.method} is not answered here; use ${allow}.`),
          );
        },
        handler: () => undefined,
      });
    }
  };
}
