import { Validator } from '@seriousme/openapi-schema-validator';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openApiDocument } from '../src/adapters/http/openapi.js';
import { httpReference } from './support/http-reference.js';
import { CASES, CLASSIFY } from './support/bad-input-cases.js';
import { GatewayUnderTest } from './support/gateway-under-test.js';

interface Described {
  readonly requestBody?: {
    readonly content: {
      readonly 'application/json': { readonly examples?: Record<string, { value: unknown }> };
    };
  };
  readonly responses: Readonly<Record<string, { readonly description: string }>>;
  readonly security?: readonly unknown[];
}

let gateway: GatewayUnderTest;
let document: { readonly paths: Readonly<Record<string, Readonly<Record<string, Described>>>> };
beforeAll(async () => {
  gateway = await GatewayUnderTest.start();
  document = (await (await gateway.fetch('/openapi.json', { key: null })).json()) as typeof document;
});
afterAll(() => gateway.stop());

const operations = () =>
  Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({ path, method, operation })),
  );

/** Paths of the tree that Fastify prints, where a path that begins like another one hangs below it. */
function pathsOf(tree: string): string[] {
  const above: string[] = [];
  return tree.split('\n').flatMap((line) => {
    const match = /^(.*?)(\/\S*) \(/.exec(line);
    if (!match || line.includes('*')) return [];
    const depth = Math.max(0, (match[1] ?? '').length / 4 - 1);
    above.length = depth;
    above.push(match[2] ?? '');
    return [above.join('')];
  });
}

describe('the OpenAPI document', () => {
  it('is valid OpenAPI 3.1', async () => {
    const validator = new Validator();
    const result = await validator.validate(structuredClone(document));
    expect(result.errors ?? []).toEqual([]);
    expect(result.valid).toBe(true);
    expect(validator.version).toBe('3.1');
    expect((await validator.validate({ openapi: '3.1.0', paths: {} })).valid).toBe(false);
  });

  it('has every path and method that the server answers, and no other', async () => {
    const paths = pathsOf(gateway.server().printRoutes({ commonPrefix: false }));
    const answered: string[] = [];
    for (const path of new Set(paths)) {
      for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
        const { status } = await gateway.fetch(path.replace(':id', 'auto'), { method });
        if (status !== 405) answered.push(`${method} ${path.replaceAll(/:(\w+)/g, '{$1}')}`);
      }
    }
    const described = operations().map(({ path, method }) => `${method.toUpperCase()} ${path}`);
    expect(answered.sort()).toEqual(described.sort());
  });

  it('needs a key wherever the server needs one', async () => {
    for (const { path, method, operation } of operations()) {
      const response = await gateway.fetch(path.replace('{id}', 'auto'), {
        method: method.toUpperCase(),
        key: null,
      });
      expect(response.status === 401, `${method} ${path}`).toBe(operation.security === undefined);
    }
  });

  it('has examples that the server takes', async () => {
    let sent = 0;
    for (const { path, operation } of operations()) {
      for (const { value } of Object.values(
        operation.requestBody?.content['application/json'].examples ?? {},
      )) {
        // The names of the examples are those of the zoo; the registry of this test has its own.
        const body = JSON.parse(
          JSON.stringify(value).replaceAll('banking77', 'banking').replaceAll('minilm-l6', 'base'),
        ) as unknown;
        const response = await gateway.post(path, body);
        expect(Object.keys(operation.responses)).toContain(String(response.status));
        expect(response.ok, `${path} ${await response.text()}`).toBe(true);
        sent += 1;
      }
    }
    expect(sent).toBeGreaterThanOrEqual(6);
  });

  it('names each error that bad input can meet, under its status', () => {
    const elsewhere = new Set(['RESOURCE_NOT_FOUND']);
    for (const { name, path = CLASSIFY, method = 'POST', status, code } of CASES) {
      if (elsewhere.has(code)) continue;
      const pattern = path.startsWith('/v1/models/') ? '/v1/models/{id}' : path;
      const operation = document.paths[pattern]?.[method.toLowerCase()];
      expect(operation?.responses[String(status)]?.description, `${name}: ${code}`).toContain(code);
    }
  });

  it('is what docs/reference/http.md shows', async () => {
    await expect(httpReference(openApiDocument())).toMatchFileSnapshot('../../../docs/reference/http.md');
  });
});
