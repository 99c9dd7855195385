import { Validator } from '@seriousme/openapi-schema-validator';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openApiDocument } from '../src/adapters/http/openapi.js';
import { ROUTE_ACCESS } from '../src/domain/access.js';
import { ChatUpstreamServer } from './support/chat-upstream.js';
import { decision } from './support/fake-services.js';
import { httpReference } from './support/http-reference.js';
import { CASES, CLASSIFY } from './support/bad-input-cases.js';
import { GatewayUnderTest, ROLE_KEYS } from './support/gateway-under-test.js';

interface Described {
  readonly requestBody?: {
    readonly content: {
      readonly 'application/json': { readonly examples?: Record<string, { value: unknown }> };
    };
  };
  readonly responses: Readonly<Record<string, { readonly description: string }>>;
  readonly security?: readonly unknown[];
  readonly 'x-thalamus-role'?: string;
}

let gateway: GatewayUnderTest;
let upstream: ChatUpstreamServer;
let document: { readonly paths: Readonly<Record<string, Readonly<Record<string, Described>>>> };
beforeAll(async () => {
  upstream = await ChatUpstreamServer.start();
  gateway = await GatewayUnderTest.start({}, { updater: true });
  await gateway.addChatModel({ name: 'mixtral-8x7b', baseUrl: upstream.baseUrl });
  const plain = gateway.router.answer;
  // Chat goes to the chat model; everything else to banking.
  gateway.router.answer = async (request, context) =>
    request.task === 'text-generation'
      ? { decision: decision({ ranked: [{ expert: 'mixtral-8x7b' }] }), strippedPrompt: request.prompt }
      : plain(request, context);
  document = (await (await gateway.fetch('/openapi.json', { key: null })).json()) as typeof document;
});
afterAll(async () => {
  await gateway.stop();
  await upstream.stop();
});

const operations = () =>
  Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({ path, method, operation })),
  );

describe('the OpenAPI document', () => {
  it('is valid OpenAPI 3.1', async () => {
    const validator = new Validator();
    const result = await validator.validate(structuredClone(document));
    expect(result.errors ?? []).toEqual([]);
    expect(result.valid).toBe(true);
    expect(validator.version).toBe('3.1');
    expect((await validator.validate({ openapi: '3.1.0', paths: {} })).valid).toBe(false);
  });

  it('has every route of the table of access, and no other', () => {
    const described = operations().map(({ path, method }) => `${method.toUpperCase()} ${path}`);
    const routes = Object.keys(ROUTE_ACCESS).map((route) => route.replaceAll(/:(\w+)/g, '{$1}'));
    expect(described.sort()).toEqual(routes.sort());
  });

  it('says which role each operation needs', () => {
    for (const { path, method, operation } of operations()) {
      const access = ROUTE_ACCESS[`${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, ':$1')}`];
      expect(operation['x-thalamus-role'], `${method} ${path}`).toBe(access === 'open' ? undefined : access);
      expect(operation.security, `${method} ${path}`).toEqual(access === 'open' ? [] : undefined);
      const needsMore = access === 'operator' || access === 'admin';
      if (needsMore) expect(operation.responses['403']?.description).toContain('PERMISSION_DENIED');
    }
  });

  it('has examples that the server takes', async () => {
    let sent = 0;
    for (const { path, method, operation } of operations()) {
      const examples = operation.requestBody?.content['application/json'].examples ?? {};
      for (const { value } of Object.values(examples)) {
        // The names and versions of the examples are those of the zoo; the registry of this test has its own.
        const body = JSON.parse(
          JSON.stringify(value)
            .replaceAll('banking77@3', 'banking@2')
            .replaceAll('banking77', 'banking')
            .replaceAll('minilm-l6', 'base'),
        ) as unknown;
        const response = await gateway.post(
          path.replace('{name}', 'small-chat').replace('{tenant}', 'limited').replace('{model}', 'auto'),
          body,
          {
            method: method.toUpperCase(),
            key: ROLE_KEYS.admin.minted.key,
          },
        );
        const text = await response.text();
        expect(Object.keys(operation.responses), `${path} ${text}`).toContain(String(response.status));
        expect(response.ok, `${path} ${text}`).toBe(true);
        sent += 1;
      }
    }
    expect(sent).toBeGreaterThanOrEqual(13);
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
