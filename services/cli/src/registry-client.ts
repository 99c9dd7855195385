import { registryV1, RPC_METADATA } from '@thalamus/contracts';
import { createClient, type CallOptions, type RpcClient } from '@thalamus/grpc';
import { runningMesh, Unreachable, type MeshOptions } from './gateway-client.js';

/** Who the command line is, for the registry's audit. */
export const AS_CLI: CallOptions = { metadata: { [RPC_METADATA.actor]: 'cli' } };

/** host:port of a service of the local mesh. @throws Unreachable */
export function serviceAddress(options: MeshOptions, service: string): string {
  const address = runningMesh(options).processes.find((process) => process.service === service)?.grpc;
  if (address === undefined) throw new Unreachable(`The mesh on ${options.data} runs no ${service}.`);
  return address;
}

/** Does work with a client of the registry, and closes it. */
export async function withRegistry<T>(
  options: MeshOptions,
  work: (registry: RpcClient<typeof registryV1.RegistryService>) => Promise<T>,
): Promise<T> {
  const client = createClient(registryV1.RegistryService, {
    address: serviceAddress(options, 'updater'),
    defaultDeadlineMs: 15_000,
  });
  try {
    return await work(client);
  } finally {
    client.close();
  }
}
