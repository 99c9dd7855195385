import { gatewayV1, inference, RPC_METADATA } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { createClient } from '@thalamus/grpc';
import Fastify from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openScopes } from '../src/adapters/http/request-scopes.js';
import { PAGE_ROUTES, ROUTE_ACCESS, RPC_ACCESS, type Role } from '../src/domain/access.js';
import { GatewayUnderTest, KEYS, ROLE_KEYS } from './support/gateway-under-test.js';

const ROLES: readonly Role[] = ['viewer', 'operator', 'admin'];
/** Hooks that are never run need nothing. */
const NOTHING = {} as Parameters<typeof openScopes>[1];
const SERVICES = [gatewayV1.GatewayService, inference.GRPCInferenceService];

let gateway: GatewayUnderTest;
beforeAll(async () => {
  gateway = await GatewayUnderTest.start();
});
afterAll(() => gateway.stop());

const allows = (access: Role, role: Role) => ROLES.indexOf(role) >= ROLES.indexOf(access);
const cells = Object.entries(ROUTE_ACCESS).flatMap(([route, access]) =>
  [undefined, ...ROLES].map((role) => ({ route, access, role, who: role ?? 'nobody' })),
);
const rpcCells = Object.entries(RPC_ACCESS).flatMap(([rpc, access]) =>
  [undefined, ...ROLES].map((role) => ({ rpc, access, role, who: role ?? 'nobody' })),
);

/** Status and code of a request that carries nothing but a key; streams are left at once. */
async function ask(route: string, key: string | null) {
  const [method = '', pattern = ''] = route.split(' ');
  const leave = new AbortController();
  const path = pattern.replace(':id', 'auto').replaceAll(/:\w+/g, 'nothing-of-this-name');
  const response = await gateway.fetch(path, { method, key, signal: leave.signal });
  const isJson = response.headers.get('content-type')?.startsWith('application/json') ?? false;
  const body = isJson ? ((await response.json()) as { error?: { code: string } | string }) : {};
  leave.abort();
  const { error } = body;
  // Below /v2 a failure is a text that begins with its code.
  return { status: response.status, code: typeof error === 'string' ? error.split(':')[0] : error?.code };
}

describe('who may use which HTTP route', () => {
  it.each(cells)('$who: $route', async ({ route, access, role }) => {
    const { status, code } = await ask(route, role === undefined ? null : ROLE_KEYS[role].minted.key);
    if (access === 'open') expect(status).toBe(200);
    else if (role === undefined) expect({ status, code }).toEqual({ status: 401, code: 'KEY_INVALID' });
    else if (!allows(access, role))
      expect({ status, code }).toEqual({ status: 403, code: 'PERMISSION_DENIED' });
    else expect(['KEY_INVALID', 'PERMISSION_DENIED', 'METHOD_NOT_ALLOWED']).not.toContain(code);
  });

  it.each(Object.entries(ROUTE_ACCESS).filter(([, access]) => access !== 'open'))(
    'a wrong and a revoked key are refused: %s',
    async (route) => {
      for (const key of [`${KEYS.acme.key.slice(0, -1)}_`, 'thk_nonsense', KEYS.revoked.key])
        expect(await ask(route, key)).toEqual({ status: 401, code: 'KEY_INVALID' });
    },
  );

  it('every route of the table is served', () => {
    const server = gateway.server();
    for (const route of Object.keys(ROUTE_ACCESS)) {
      const [method = '', url = ''] = route.split(' ');
      expect(server.hasRoute({ method: method, url }), route).toBe(true);
    }
  });

  it('a route without an entry keeps the gateway from starting', () => {
    const server = Fastify();
    openScopes(server, NOTHING);
    expect(() => server.get('/admin/v1/forgotten', () => 'secret')).toThrow(
      /no entry in the table of access/,
    );
    for (const page of PAGE_ROUTES)
      expect(() => server.get(page.split(' ')[1] ?? '', () => '')).not.toThrow();
  });

  it.each(['/v1/%6dodels', '//v1/models', '/v1/models/', '/V1/models', '/admin/v1/', '/admin/v1/none'])(
    'no spelling goes around the key: %s',
    async (path) => {
      const response = await gateway.fetch(path, { key: null });
      expect([401, 404]).toContain(response.status);
    },
  );
});

describe('who may call which RPC', () => {
  it('every RPC of the gateway has an entry, and every entry an RPC', () => {
    const offered = SERVICES.flatMap(({ typeName, methods }) =>
      methods.map(({ name }) => `${typeName}/${name}`),
    );
    expect(Object.keys(RPC_ACCESS).sort()).toEqual(offered.sort());
  });

  it.each(rpcCells)('$who: $rpc', async ({ rpc, access, role }) => {
    const code = await call(rpc, role === undefined ? undefined : ROLE_KEYS[role].minted.key);
    if (access !== 'open' && role === undefined) expect(code).toBe('KEY_INVALID');
    else if (access !== 'open' && role !== undefined && !allows(access, role))
      expect(code).toBe('PERMISSION_DENIED');
    else expect(['KEY_INVALID', 'PERMISSION_DENIED']).not.toContain(code);
  });
});

/** Code that an empty call ends with; OK when it succeeds. */
async function call(rpc: string, key: string | undefined): Promise<string> {
  const [typeName, name] = rpc.split('/');
  const service = SERVICES.find((item) => item.typeName === typeName);
  const method = service?.methods.find((item) => item.name === name);
  if (!service || !method) return 'no such RPC';
  const client = createClient(service, { address: gateway.address, defaultDeadlineMs: 10_000 });
  const metadata: Record<string, string> =
    key === undefined ? {} : { [RPC_METADATA.authorization]: `Bearer ${key}` };
  type Calls = Readonly<Record<string, (request: unknown, options: object) => unknown>>;
  const invoke = (client as unknown as Calls)[method.localName];
  try {
    if (method.methodKind === 'unary') await invoke?.({}, { metadata });
    else {
      const answers = invoke?.(single(), { metadata }) as AsyncIterable<unknown>;
      for await (const answer of answers) expect(answer).toBeDefined();
    }
    return 'OK';
  } catch (fault) {
    return ThalamusError.is(fault) ? fault.code : String(fault);
  } finally {
    client.close();
  }
}

async function* single(): AsyncGenerator<object> {
  yield await Promise.resolve({});
}
