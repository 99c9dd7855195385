import {
  importBundle,
  openBundle,
  sha256OfFile,
  type ArtifactStore,
  type ExpertManifest,
} from '@thalamus/bundle';
import { join } from 'node:path';
import { AS_LAUNCHER, withLauncherRegistry, type LauncherRegistry } from './launcher-registry.js';
import { moveOwnStable, versionsOf } from './launcher-stable.js';
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
  const reason = `the replay upstream is at ${baseUrl}`;
  await moveOwnStable(registry, { expert, version: wanted.version, reason }, known);
}
