export { localContext, type CallContext } from './call-context.js';
export { packageDefinition, serviceDefinition } from './definition.js';
export { GrpcServer, MAX_MESSAGE_BYTES, type GrpcServerOptions } from './grpc-server.js';
export { createClient, type CallOptions, type ClientOptions, type RpcClient } from './rpc-client.js';
export {
  implementService,
  type BoundService,
  type Handler,
  type ServiceImplementation,
} from './service-implementation.js';
export { ERROR_DOMAIN, fromGrpcError, toGrpcStatus } from './status.js';
