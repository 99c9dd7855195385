import type { DescService } from '@bufbuild/protobuf';
import { artifactV1, inference } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import {
  createClient,
  GrpcServer,
  type GrpcServerOptions,
  implementService,
  type RpcClient,
  type ServiceImplementation,
} from '../../src/index.js';

/** Handlers of a test: Stat is unary, Put a client stream, Get a server stream; those left out fail when called. */
export type ArtifactHandlers = Partial<ServiceImplementation<typeof artifactV1.ArtifactService>>;
/** Handlers of a test: ModelStreamInfer has streams both ways. */
export type InferHandlers = Partial<ServiceImplementation<typeof inference.GRPCInferenceService>>;

/** A server on loopback with clients of it. */
export interface Loopback {
  readonly server: GrpcServer;
  readonly address: string;
  readonly artifacts: RpcClient<typeof artifactV1.ArtifactService>;
  readonly inference: RpcClient<typeof inference.GRPCInferenceService>;
}

const open: { close(): Promise<void> }[] = [];

/** Starts a real server and real clients; `closeAll` ends them. */
export async function serve(
  handlers: ArtifactHandlers,
  infer: InferHandlers = {},
  settings: Pick<GrpcServerOptions, 'connectionAgeMs'> = {},
): Promise<Loopback> {
  const server = new GrpcServer({
    ...settings,
    host: '127.0.0.1',
    port: 0,
    services: [
      implementService(artifactV1.ArtifactService, completed(artifactV1.ArtifactService, handlers)),
      implementService(inference.GRPCInferenceService, completed(inference.GRPCInferenceService, infer)),
    ],
  });
  await server.start();
  const address = `127.0.0.1:${server.port}`;
  const options = { address, defaultDeadlineMs: 15_000 };
  const artifacts = createClient(artifactV1.ArtifactService, options);
  const inferenceClient = createClient(inference.GRPCInferenceService, options);
  open.push({
    close: async () => {
      artifacts.close();
      inferenceClient.close();
      await server.drain(0);
    },
  });
  return { server, address, artifacts, inference: inferenceClient };
}

/** Puts a handler that fails where a test has none. */
function completed<S extends DescService>(
  service: S,
  handlers: Partial<ServiceImplementation<S>>,
): ServiceImplementation<S> {
  const missing = () => {
    throw new ThalamusError('METHOD_UNSUPPORTED', 'The test has no handler for this method.');
  };
  const all = service.methods.map(({ localName }) => [localName, missing] as const);
  return { ...Object.fromEntries(all), ...handlers };
}

/** Ends what `serve` has started. */
export async function closeAll(): Promise<void> {
  await Promise.all(open.splice(0).map((entry) => entry.close()));
}

/** The error of a promise that must fail. */
export async function failure(work: Promise<unknown>): Promise<unknown> {
  try {
    await work;
  } catch (fault) {
    return fault;
  }
  throw new Error('expected a failure');
}

/** All values of a stream. */
export async function collect<T>(values: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const value of values) all.push(value);
  return all;
}

/** A promise with its ends, to hold a handler where a test wants it. */
export function gate(): { readonly passed: Promise<void>; readonly pass: () => void } {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  return {
    passed: promise,
    pass: () => {
      resolve(undefined);
    },
  };
}
