import type { DescService } from '@bufbuild/protobuf';
import type { ArtifactStore } from '@thalamus/bundle';
import { artifactV1, registryV1, RPC_METADATA } from '@thalamus/contracts';
import { createLeaderClient, type CallOptions, type RpcClient } from '@thalamus/grpc';
import { RemoteArtifactStore } from '@thalamus/registry';
import { runningMesh, unreachable, type MeshOptions } from './gateway-client.js';
import { whileElecting } from './retry.js';

/** Who the command line is, for the registry's audit. */
export const AS_CLI: CallOptions = { metadata: { [RPC_METADATA.actor]: 'cli' } };

const DEADLINE_MS = 15_000;
/** How long a verb waits while the registry elects a writer, milliseconds. */
const ELECTION_MS = 10_000;

/** host:port of a service of the local mesh. @throws UPSTREAM_UNAVAILABLE */
export function serviceAddress(options: Pick<MeshOptions, 'data'>, service: string): string {
  const address = runningMesh(options).processes.find((process) => process.service === service)?.grpc;
  if (address === undefined) throw unreachable(`The mesh on ${options.data} runs no ${service}.`);
  return address;
}

/** Does work with a client of a service of the local mesh, and closes it. @throws UPSTREAM_UNAVAILABLE */
export async function withService<S extends DescService, T>(
  options: Pick<MeshOptions, 'data'>,
  target: { readonly name: string; readonly service: S; readonly deadlineMs?: number },
  work: (client: RpcClient<S>) => Promise<T>,
): Promise<T> {
  const client = createLeaderClient(target.service, {
    address: serviceAddress(options, target.name),
    defaultDeadlineMs: target.deadlineMs ?? DEADLINE_MS,
  });
  try {
    return await work(client);
  } finally {
    client.close();
  }
}

/** Does work with a client of the registry, again while it elects its writer: the work must be idempotent until it succeeds. */
export function withRegistry<T>(
  options: Pick<MeshOptions, 'data'>,
  work: (registry: RpcClient<typeof registryV1.RegistryService>) => Promise<T>,
): Promise<T> {
  const target = { name: 'updater', service: registryV1.RegistryService };
  return withService(options, target, (registry) => whileElecting(ELECTION_MS, () => work(registry)));
}

/** Does work with the artifact store of the local mesh, which is the updater's. @throws UPSTREAM_UNAVAILABLE */
export function withArtifacts<T>(
  options: Pick<MeshOptions, 'data'>,
  work: (store: ArtifactStore) => Promise<T>,
): Promise<T> {
  const target = { name: 'updater', service: artifactV1.ArtifactService, deadlineMs: 60_000 };
  return withService(options, target, (client) => work(new RemoteArtifactStore(client)));
}
