export { localContext, type CallContext } from './call-context.js';
export type { CallOptions } from './channel.js';
export { GrpcServer, type GrpcServerOptions } from './grpc-server.js';
export { MAX_MESSAGE_BYTES } from './limits.js';
export { createClient, type ClientOptions, type RpcClient } from './rpc-client.js';
export { createLeaderClient } from './leader-client.js';
export {
  implementService,
  type BoundService,
  type Handler,
  type ServiceImplementation,
} from './service-implementation.js';
export { ERROR_DOMAIN, fromGrpcError, toGrpcStatus } from './status.js';
