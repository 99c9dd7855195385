import {
  importBundle,
  openBundle,
  sha256OfFile,
  type ArtifactStore,
  type ExpertManifest,
} from '@thalamus/bundle';
import { registryV1 } from '@thalamus/contracts';
import { join } from 'node:path';
import { AS_LAUNCHER, LAUNCHER, withLauncherRegistry, type LauncherRegistry } from './launcher-registry.js';
import { registerRouterModel } from './register-router-model.js';
import { remoteVersionAt } from './remote-version.js';
import { notTheZoo, readZoo } from './zoo-index.js';

/** Puts the fleet's bundles into a store, and checks the recorded answers. @throws BUNDLE_INVALID */
export async function storeFleet(folder: string, store: ArtifactStore): Promise<void> {
  const { experts, routers, recordings } = readZoo(folder).fleet;
  for (const item of [...experts, ...routers]) {
    const { digest } = await importBundle(join(folder, item.folder), store);
    if (digest !== item.digest) throw notTheZoo(item.folder, digest);
  }
  const found = `sha256:${await sha256OfFile(join(folder, recordings.file))}`;
  if (found !== recordings.digest) throw notTheZoo(recordings.file, found);
}

/**
 * Registers the remote experts of the fleet, whose upstream is at `baseUrl`, and the router model that decides between them;
 * answers with their names. An expert whose stable version somebody else made keeps it.
 */
export async function registerFleet(
  folder: string,
  store: ArtifactStore,
  { updaterAddress, baseUrl }: { readonly updaterAddress: string; readonly baseUrl: string },
): Promise<string[]> {
  const { experts, routers } = readZoo(folder).fleet;
  return withLauncherRegistry(updaterAddress, async (registry) => {
    const names: string[] = [];
    for (const item of experts) {
      const { manifest } = await openBundle(join(folder, item.folder));
      await registerRemote(registry, store, manifest, baseUrl);
      names.push(manifest.name);
    }
    for (const item of routers) await registerRouterModel(registry, join(folder, item.folder));
    return names;
  });
}

async function registerRemote(
  registry: LauncherRegistry,
  store: ArtifactStore,
  shipped: ExpertManifest,
  baseUrl: string,
): Promise<void> {
  const expert = shipped.name;
  const known = await versionsOf(registry, expert);
  const wanted = remoteVersionAt(shipped, baseUrl, known);
  if (!wanted.isRegistered) {
    await store.put(wanted.manifest, { digest: wanted.digest });
    const version = { expert, version: wanted.version, manifestDigest: wanted.digest };
    await registry.registerVersion({ version, description: shipped.description }, AS_LAUNCHER);
  }
  const stable = await stableOf(registry, expert);
  if (stable === wanted.version) return;
  const isOurs = known.some(({ version, updatedBy }) => version === stable && updatedBy === LAUNCHER);
  if (!isOurs && stable !== '') return;
  const reason = `the replay upstream is at ${baseUrl}`;
  const change = { expert, channel: registryV1.Channel.STABLE, version: wanted.version, reason };
  await registry.setChannel(change, AS_LAUNCHER);
}

async function versionsOf(registry: LauncherRegistry, expert: string) {
  const request = { kind: 'version', namePrefix: `${expert}@` };
  const { resources } = await registry.listResources(request, AS_LAUNCHER);
  return resources.flatMap(({ value, updatedBy }) =>
    value.case === 'version' && value.value.expert === expert ? [{ ...value.value, updatedBy }] : [],
  );
}

/** Version of the stable channel, as it is after what was just registered. */
async function stableOf(registry: LauncherRegistry, expert: string): Promise<string> {
  const { resource } = await registry.getResource({ key: `expert/${expert}` }, AS_LAUNCHER);
  return resource?.value.case === 'expert' ? resource.value.value.stable : '';
}
