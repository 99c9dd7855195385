import { registryV1, RPC_METADATA } from '@thalamus/contracts';
import { createLeaderClient, type CallOptions, type RpcClient } from '@thalamus/grpc';

/** A client of the registry. */
export type LauncherRegistry = RpcClient<typeof registryV1.RegistryService>;

/** Name under which the registry records what the launcher does. */
export const LAUNCHER = 'launcher';

/** Who the launcher is, for the registry's audit. */
export const AS_LAUNCHER: CallOptions = { metadata: { [RPC_METADATA.actor]: LAUNCHER } };

const DEADLINE_MS = 15_000;

/** Does work with a client of the registry at an address, and closes it. */
export async function withLauncherRegistry<T>(
  address: string,
  work: (registry: LauncherRegistry) => Promise<T>,
): Promise<T> {
  const registry = createLeaderClient(registryV1.RegistryService, {
    address,
    defaultDeadlineMs: DEADLINE_MS,
  });
  try {
    return await work(registry);
  } finally {
    registry.close();
  }
}
