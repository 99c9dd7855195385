import { digestOf, importBundle, openBundle, readSignatures, type ArtifactStore } from '@thalamus/bundle';
import type { CallOptions } from '@thalamus/grpc';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AS_LAUNCHER, withLauncherRegistry, type LauncherRegistry } from './launcher-registry.js';
import { moveOwnStable, versionsOf } from './launcher-stable.js';
import { registerRouterModel } from './register-router-model.js';
import { notTheZoo, readZoo, type ZooIndex } from './zoo-index.js';

/** Puts the zoo's bundles and samples into a store; what is there already is only checked. @throws BUNDLE_INVALID */
export async function storeZoo(folder: string, store: ArtifactStore): Promise<void> {
  const zoo = readZoo(folder);
  for (const item of [...zoo.bases, ...zoo.experts, ...zoo.routers]) {
    const imported = await importBundle(join(folder, item.folder), store);
    if (imported.digest !== item.digest) throw notTheZoo(item.folder, imported.digest);
  }
  for (const { sample } of zoo.experts) {
    for (const file of [sample.train, sample.router, sample.test])
      await store.put(await readFile(join(folder, file)));
  }
}

/**
 * Registers the zoo with the updater; what is registered already stays as it is. A version that is new here takes the place of
 * an earlier one of the zoo; a channel that somebody else moved, or moved back, stays where it is.
 */
export async function registerZoo(folder: string, updaterAddress: string): Promise<string[]> {
  const zoo = readZoo(folder);
  return withLauncherRegistry(updaterAddress, async (registry) => {
    for (const item of zoo.bases) await registerBundle(registry, join(folder, item.folder));
    const names = await Promise.all(
      zoo.experts.map((item) => registerExpert(registry, join(folder, item.folder))),
    );
    await Promise.all(
      zoo.experts.map((item, index) => registerSamples(registry, folder, names[index] ?? '', item.sample)),
    );
    for (const item of zoo.routers) await registerRouterModel(registry, join(folder, item.folder));
    return names;
  });
}

async function registerExpert(registry: LauncherRegistry, folder: string): Promise<string> {
  const { manifest } = await openBundle(folder);
  const known = await versionsOf(registry, manifest.name);
  const { expert, version } = await registerBundle(registry, folder);
  const isNew = known.every((one) => one.version !== version);
  if (isNew) await moveOwnStable(registry, { expert, version, reason: 'the zoo has a new version' }, known);
  return expert;
}

/** A registered version of an expert. */
export interface AddedVersion {
  readonly expert: string;
  readonly version: string;
}

async function registerBundle(
  registry: LauncherRegistry,
  folder: string,
  as = AS_LAUNCHER,
): Promise<AddedVersion> {
  const { manifest, digest: manifestDigest } = await openBundle(folder);
  const { name: expert, version, description } = manifest;
  const signed = await readSignatures(folder, manifestDigest);
  const signatures = signed.map(({ keyId, value }) => ({ keyId, value }));
  await registry.registerVersion(
    { version: { expert, version, manifestDigest, signatures }, description },
    as,
  );
  return { expert, version };
}

async function registerSamples(
  registry: LauncherRegistry,
  folder: string,
  expert: string,
  sample: ZooIndex['experts'][number]['sample'],
): Promise<void> {
  for (const part of ['train', 'router', 'test'] as const) {
    const bytes = await readFile(join(folder, sample[part]));
    const { licence, origin } = sample;
    const name = part === 'train' ? expert : `${expert}-${part}`;
    const split = part === 'test' ? 'test' : 'train';
    const rows = BigInt(bytes.toString('utf8').split('\n').length - 2);
    const dataset = { name, version: '1', digest: digestOf(bytes), licence, origin, split, rows };
    await registry.registerDataset({ dataset }, AS_LAUNCHER);
  }
}

/** Puts a bundle of a folder into a store and registers it in the name of the one who asked. */
export async function addBundle(
  folder: string,
  store: ArtifactStore,
  registry: LauncherRegistry,
  as: CallOptions,
): Promise<AddedVersion> {
  await importBundle(folder, store);
  return registerBundle(registry, folder, as);
}
