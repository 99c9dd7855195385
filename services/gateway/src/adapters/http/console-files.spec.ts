import Fastify, { type FastifyInstance } from 'fastify';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { serveConsole } from './console-files.js';

let folder: string;
let server: FastifyInstance;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'thalamus-console-'));
  mkdirSync(join(folder, 'built', 'assets'), { recursive: true });
  writeFileSync(join(folder, 'secret.txt'), 'secret');
  writeFileSync(join(folder, 'built', 'index.html'), '<title>console</title>');
  writeFileSync(join(folder, 'built', 'assets', 'app-1.js'), 'run()');
  writeFileSync(join(folder, 'built', 'assets', 'app-1.js.br'), 'packed');
  server = Fastify();
  await serveConsole(server, join(folder, 'built'));
});
afterEach(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

/** What an injected request is answered with; its own types are not among the installed ones. */
interface Answered {
  readonly statusCode: number;
  readonly body: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
}
const inject = (to: FastifyInstance, url: string, headers: Record<string, string> = {}) =>
  to.inject({ url, headers }) as unknown as Promise<Answered>;
const get = (url: string, headers: Record<string, string> = {}) => inject(server, url, headers);

describe('the console', () => {
  it.each([
    '/console/',
    '/console/experts',
    '/console/experts/banking77',
    '/console/router/zoo-router/1',
    '/console/compositions',
    '/console/compositions/duo/1',
    '/console/releases',
    '/console/releases/rel-1',
  ])('%s is the app', async (url) => {
    const answer = await get(url);
    expect([answer.statusCode, answer.body]).toEqual([200, '<title>console</title>']);
    expect(answer.headers['cache-control']).toBe('no-cache');
    expect(answer.headers['content-security-policy']).toContain("default-src 'self'");
    expect(answer.headers['x-content-type-options']).toBe('nosniff');
  });

  it('has every page that the app has, on reload too, and says 404 for others', async () => {
    const app = readFileSync(new URL('../../../../console/src/app.tsx', import.meta.url), 'utf8');
    const routes = [...app.matchAll(/<Route path="([^"]+)"/g)].map(([, path = '']) => path);
    expect(routes.length).toBeGreaterThan(5);
    for (const route of routes) {
      const url = `/console${route.replace(/:\w+/g, 'some-name')}`;
      expect([url, (await get(url)).statusCode]).toEqual([url, 200]);
    }
    for (const url of [
      '/console/nothing',
      '/console/experts/a/b',
      '/console/router/a',
      '/console/compositions/duo',
      '/console/releases/rel-1/flips',
      '/console/overviews',
    ]) {
      const answer = await get(url);
      expect([url, answer.statusCode, answer.body]).toEqual([url, 404, '<title>console</title>']);
    }
  });

  it('is where / and /console lead', async () => {
    for (const url of ['/', '/console']) expect((await get(url)).headers['location']).toBe('/console/');
  });

  it('serves a built file, packed for who takes that, to be kept for ever', async () => {
    const plain = await get('/console/assets/app-1.js');
    expect([plain.statusCode, plain.body]).toEqual([200, 'run()']);
    expect(plain.headers['cache-control']).toContain('immutable');
    const packed = await get('/console/assets/app-1.js', { 'accept-encoding': 'br' });
    expect([packed.body, packed.headers['content-encoding']]).toEqual(['packed', 'br']);
  });

  it.each([
    '/console/assets/app-0.js',
    '/console/../secret.txt',
    '/console/..%2fsecret.txt',
    '/console/assets/..%2f..%2fsecret.txt',
    '/console/%2e%2e/secret.txt',
    '/console/assets%00.js',
  ])('%s is not there', async (url) => {
    const answer = await get(url);
    expect(answer.statusCode).not.toBe(200);
    expect(answer.body).not.toBe('secret');
  });

  it('is left out when it is not built', async () => {
    const bare = Fastify();
    await serveConsole(bare, join(folder, 'nothing'));
    expect((await inject(bare, '/console/')).statusCode).toBe(404);
  });
});
