import fastifyStatic from '@fastify/static';
import type { FastifyInstance } from 'fastify';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What a page of the console may do: scripts and styles of this origin, nothing embedded, nothing elsewhere. */
const POLICY =
  "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/** Paths of the app's pages below /console/; a test holds them against the routes of the app. */
const PAGE =
  /^(?:(?:overview|experts|experts\/[^/]+|releases|releases\/[^/]+|hosts|(?:router|compositions)(?:\/[^/]+\/[^/]+)?|keys|policies)\/?)?$/;

/**
 * Serves the built console under /console/. A path without a file is a page of the app; one that the app does not have is
 * answered with the app too, which says so, but with 404. Needs no key: it holds no data.
 */
export async function serveConsole(server: FastifyInstance, folder = consoleFolder()): Promise<void> {
  if (!existsSync(join(folder, 'index.html'))) return;
  const files = new Set(readdirSync(folder, { recursive: true, encoding: 'utf8' }));
  await server.register(fastifyStatic, {
    root: folder,
    serve: false,
    cacheControl: false,
    preCompressed: true,
    setHeaders: (reply, path) => {
      const immutable = path.includes('/assets/');
      void reply.header('cache-control', immutable ? 'public, max-age=31536000, immutable' : 'no-cache');
      void reply.header('content-security-policy', POLICY);
      void reply.header('x-content-type-options', 'nosniff');
      void reply.header('referrer-policy', 'no-referrer');
    },
  });
  server.get('/', (_request, reply) => reply.redirect('/console/'));
  server.get('/console', (_request, reply) => reply.redirect('/console/'));
  server.get<{ Params: { '*': string } }>('/console/*', (request, reply) => {
    const path = request.params['*'];
    if (PAGE.test(path)) return reply.sendFile('index.html');
    if (!path.includes('.')) return reply.code(404).sendFile('index.html');
    // A file that an older build linked to is gone for good; it must not look like one that is there.
    if (files.has(path)) return reply.sendFile(path);
    reply.callNotFound();
    return reply;
  });
}

function consoleFolder(): string {
  return fileURLToPath(new URL('../../../../console/dist', import.meta.url));
}
