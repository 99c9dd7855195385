import { artifactV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { createClient } from '@thalamus/grpc';
import { RemoteArtifactStore } from '@thalamus/registry';
import { outputOf, type CommonOptions } from '../mesh-command.js';
import { registerZoo, storeZoo, zooFolder } from '../mesh/seed-zoo.js';
import { serviceAddress } from '../registry-client.js';
import { whileElecting } from '../retry.js';

/** How long the updater may take to be elected, milliseconds. */
const ELECTION_MS = 60_000;

/** Options of `zoo load`. */
export interface LoadOptions extends CommonOptions {
  readonly updater?: string;
}

/** Stores and registers the zoo through the updater's own services. @throws BUNDLE_INVALID, UPSTREAM_UNAVAILABLE */
export async function loadZoo(options: LoadOptions): Promise<void> {
  const address = options.updater ?? serviceAddress(options, 'updater');
  if (!/^[^\s:]+:\d+$/.test(address))
    throw new ThalamusError('CONFIG_INVALID', `--updater is "${address}"; it must be host:port.`);
  const client = createClient(artifactV1.ArtifactService, { address, defaultDeadlineMs: 60_000 });
  try {
    await storeZoo(zooFolder(), new RemoteArtifactStore(client));
  } finally {
    client.close();
  }
  const experts = await whileElecting(ELECTION_MS, () => registerZoo(zooFolder(), address));
  outputOf(options).answer({ experts }, () => [
    `${experts.length} experts are registered: ${experts.join(', ')}.`,
  ]);
}
