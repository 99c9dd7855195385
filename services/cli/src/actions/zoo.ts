import type { ArtifactStore } from '@thalamus/bundle';
import { artifactV1 } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { createClient } from '@thalamus/grpc';
import { RemoteArtifactStore } from '@thalamus/registry';
import { outputOf, type CommonOptions } from '../mesh-command.js';
import { registerFleet, storeFleet } from '../mesh/seed-fleet.js';
import { registerZoo, storeZoo } from '../mesh/seed-zoo.js';
import { zooFolder } from '../mesh/zoo-index.js';
import { serviceAddress } from '../registry-client.js';
import { whileElecting } from '../retry.js';

/** How long the updater may take to be elected, milliseconds. */
const ELECTION_MS = 60_000;

/** Options of `zoo load`. */
export interface LoadOptions extends CommonOptions {
  readonly updater?: string;
  readonly replay?: string;
}

/** Stores and registers the zoo through the updater's own services. @throws BUNDLE_INVALID, UPSTREAM_UNAVAILABLE */
export async function loadZoo(options: LoadOptions): Promise<void> {
  const address = options.updater ?? serviceAddress(options, 'updater');
  if (!/^[^\s:]+:\d+$/.test(address))
    throw new ThalamusError('CONFIG_INVALID', `--updater is "${address}"; it must be host:port.`);
  const { replay } = options;
  if (replay !== undefined && !(URL.canParse(replay) && /^https?:/.test(replay)))
    throw new ThalamusError(
      'CONFIG_INVALID',
      `--replay is "${replay}"; it must be an address such as http://replay:8082/v1.`,
    );
  const client = createClient(artifactV1.ArtifactService, { address, defaultDeadlineMs: 60_000 });
  try {
    const store = new RemoteArtifactStore(client);
    await storeZoo(zooFolder(), store);
    const experts = await whileElecting(ELECTION_MS, () => registerZoo(zooFolder(), address));
    if (replay !== undefined) experts.push(...(await loadFleet(store, address, replay)));
    outputOf(options).answer({ experts }, () => [
      `${experts.length} experts are registered: ${experts.join(', ')}.`,
    ]);
  } finally {
    client.close();
  }
}

async function loadFleet(store: ArtifactStore, updaterAddress: string, replay: string): Promise<string[]> {
  await storeFleet(zooFolder(), store);
  const place = { updaterAddress, baseUrl: replay };
  return whileElecting(ELECTION_MS, () => registerFleet(zooFolder(), store, place));
}
