import { inference, OIP_ROUTES } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import type { Caller } from './caller.js';

/** What a key may do; each role may do all that the one before may. */
export type Role = Caller['role'];

/** Who may use a route or an RPC: anybody, or keys of this role and above. */
export type Access = 'open' | Role;

const RANKS: Readonly<Record<Role, number>> = { viewer: 0, operator: 1, admin: 2 };

/** Every RPC of the gateway, as service and method. An RPC that is not here is refused. */
export const RPC_ACCESS: Readonly<Record<string, Access>> = {
  'inference.GRPCInferenceService/ServerLive': 'open',
  'inference.GRPCInferenceService/ServerReady': 'open',
  'inference.GRPCInferenceService/ServerMetadata': 'open',
  'inference.GRPCInferenceService/ModelReady': 'viewer',
  'inference.GRPCInferenceService/ModelMetadata': 'viewer',
  'inference.GRPCInferenceService/ModelInfer': 'viewer',
  'inference.GRPCInferenceService/ModelStreamInfer': 'viewer',
  'inference.GRPCInferenceService/ModelConfig': 'viewer',
  'inference.GRPCInferenceService/ModelStatistics': 'viewer',
  'inference.GRPCInferenceService/RepositoryIndex': 'viewer',
  'inference.GRPCInferenceService/RepositoryModelLoad': 'operator',
  'inference.GRPCInferenceService/RepositoryModelUnload': 'operator',
  'thalamus.gateway.v1.GatewayService/Classify': 'viewer',
  'thalamus.gateway.v1.GatewayService/Embed': 'viewer',
  'thalamus.gateway.v1.GatewayService/Route': 'viewer',
  'thalamus.gateway.v1.GatewayService/GiveFeedback': 'viewer',
};

/** Every HTTP route, as method and pattern. A route that is not here is not served. */
export const ROUTE_ACCESS: Readonly<Record<string, Access>> = {
  'GET /healthz': 'open',
  'GET /openapi.json': 'open',
  'POST /v1/chat/completions': 'viewer',
  'POST /v1/completions': 'viewer',
  'POST /v1/classifications': 'viewer',
  'POST /v1/embeddings': 'viewer',
  'POST /v1/route': 'viewer',
  'POST /v1/feedback': 'viewer',
  'GET /v1/models': 'viewer',
  'GET /v1/models/:id': 'viewer',
  'GET /admin/v1/session': 'viewer',
  'GET /admin/v1/live': 'viewer',
  'GET /admin/v1/experts': 'viewer',
  'GET /admin/v1/experts/:name/versions/:version/training': 'viewer',
  'GET /admin/v1/experts/:name/versions/:version/verdict': 'viewer',
  'GET /admin/v1/hosts': 'viewer',
  'GET /admin/v1/routers': 'viewer',
  'GET /admin/v1/routers/:name/versions/:version/evaluation': 'viewer',
  'GET /admin/v1/compositions': 'viewer',
  'GET /admin/v1/compositions/:name/versions/:version': 'viewer',
  'GET /admin/v1/releases': 'viewer',
  'GET /admin/v1/releases/:id': 'viewer',
  'GET /admin/v1/releases/:id/flips': 'viewer',
  'GET /admin/v1/releases/:id/readings': 'viewer',
  'GET /admin/v1/releases/:id/verdict': 'viewer',
  'POST /admin/v1/releases/:id/advance': 'operator',
  'POST /admin/v1/releases/:id/approve': 'operator',
  'POST /admin/v1/releases/:id/promote': 'operator',
  'POST /admin/v1/releases/:id/repair': 'operator',
  'POST /admin/v1/releases/:id/rollback': 'operator',
  'POST /admin/v1/experts': 'operator',
  'DELETE /admin/v1/experts/:name': 'operator',
  'POST /admin/v1/experts/:name/channels': 'operator',
  'GET /admin/v1/policies': 'admin',
  'GET /admin/v1/policies/:tenant': 'admin',
  'PUT /admin/v1/policies/:tenant': 'admin',
  'GET /admin/v1/keys': 'admin',
  'POST /admin/v1/keys': 'admin',
  'DELETE /admin/v1/keys/:id': 'admin',
  ...oipAccess(),
};

/** Over HTTP the Open Inference Protocol is open to whom it is open to over gRPC. */
function oipAccess(): Record<string, Access> {
  const typeName = inference.GRPCInferenceService.typeName;
  return Object.fromEntries(
    OIP_ROUTES.map(({ method, path, rpc }) => {
      const access = RPC_ACCESS[`${typeName}/${rpc}`];
      if (access === undefined) throw new TypeError(`${rpc} has no entry in the table of access`);
      return [`${method} ${path}`, access];
    }),
  );
}

/** Pages of the console: files without data, served when the console is built. */
export const PAGE_ROUTES: readonly string[] = ['GET /', 'GET /console', 'GET /console/*'];

/** Access of a route, method and pattern; HEAD is as GET. Undefined for one that has no entry. */
export function routeAccess(method: string, pattern: string): Access | undefined {
  const key = `${method === 'HEAD' ? 'GET' : method} ${pattern}`;
  return PAGE_ROUTES.includes(key) ? 'open' : ROUTE_ACCESS[key];
}

/** @throws PERMISSION_DENIED when the caller's role is smaller than what is needed */
export function requireRole(caller: Caller, needed: Role): void {
  if (RANKS[caller.role] >= RANKS[needed]) return;
  throw new ThalamusError(
    'PERMISSION_DENIED',
    `This needs the role ${needed}; the key ${caller.id} has the role ${caller.role}. Use a key of that role.`,
    { metadata: { needed, role: caller.role } },
  );
}
