import { digestOf, importBundle, openBundle, type ArtifactStore } from '@thalamus/bundle';
import { registryV1, RPC_METADATA } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import { createClient, type RpcClient } from '@thalamus/grpc';
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';

const digest = z.string().regex(/^sha256:[0-9a-f]{64}$/);
const entry = z.object({ folder: z.string(), digest });
const indexSchema = z.object({
  bases: z.array(entry),
  experts: z.array(
    entry.extend({
      sample: z.object({ train: z.string(), test: z.string(), licence: z.string(), origin: z.string() }),
    }),
  ),
  routers: z.array(entry),
});

type Registry = RpcClient<typeof registryV1.RegistryService>;
const METADATA = { [RPC_METADATA.actor]: 'launcher' };

/** Folder of the zoo that the repository ships. */
export function zooFolder(): string {
  return fileURLToPath(new URL('../../../../zoo', import.meta.url));
}

/** The index of a zoo folder. @throws BUNDLE_INVALID */
export function readZoo(folder: string): z.infer<typeof indexSchema> {
  const path = join(folder, 'zoo.json');
  try {
    return indexSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch (cause) {
    throw new ThalamusError(
      'BUNDLE_INVALID',
      `${path} is missing or damaged; restore the folder zoo from the repository.`,
      {
        cause,
      },
    );
  }
}

/** Puts the zoo's bundles and samples into a store; what is there already is only checked. @throws BUNDLE_INVALID */
export async function storeZoo(folder: string, store: ArtifactStore): Promise<void> {
  const zoo = readZoo(folder);
  for (const item of [...zoo.bases, ...zoo.experts, ...zoo.routers]) {
    const imported = await importBundle(join(folder, item.folder), store);
    if (imported.digest !== item.digest)
      throw new ThalamusError(
        'BUNDLE_INVALID',
        `zoo/${item.folder} has the digest ${imported.digest}, but zoo.json names ${item.digest}; restore the folder zoo from the repository.`,
      );
  }
  for (const { sample } of zoo.experts) {
    for (const file of [sample.train, sample.test]) await store.put(await readFile(join(folder, file)));
  }
}

/** Registers the zoo with the updater; what is registered already stays as it is. */
export async function registerZoo(folder: string, updaterAddress: string): Promise<string[]> {
  const zoo = readZoo(folder);
  const registry = createClient(registryV1.RegistryService, {
    address: updaterAddress,
    defaultDeadlineMs: 15_000,
  });
  try {
    for (const item of zoo.bases) await registerBundle(registry, join(folder, item.folder));
    const names = await Promise.all(
      zoo.experts.map(async (item) => (await registerBundle(registry, join(folder, item.folder))).expert),
    );
    await Promise.all(
      zoo.experts.map((item, index) => registerSamples(registry, folder, names[index] ?? '', item.sample)),
    );
    await Promise.all(zoo.routers.map((item) => registerRouter(registry, item.digest)));
    return names;
  } finally {
    registry.close();
  }
}

/** A registered version of an expert. */
export interface AddedVersion {
  readonly expert: string;
  readonly version: string;
}

async function registerBundle(registry: Registry, folder: string): Promise<AddedVersion> {
  const { manifest, digest: manifestDigest } = await openBundle(folder);
  const { name: expert, version, description } = manifest;
  await registry.registerVersion(
    { version: { expert, version, manifestDigest }, description },
    { metadata: METADATA },
  );
  return { expert, version };
}

async function registerSamples(
  registry: Registry,
  folder: string,
  expert: string,
  sample: { train: string; test: string; licence: string; origin: string },
): Promise<void> {
  for (const split of ['train', 'test'] as const) {
    const bytes = await readFile(join(folder, sample[split]));
    const { licence, origin } = sample;
    const name = split === 'train' ? expert : `${expert}-test`;
    const rows = BigInt(bytes.toString('utf8').split('\n').length - 2);
    const dataset = { name, version: '1', digest: digestOf(bytes), licence, origin, split, rows };
    await registry.registerDataset({ dataset }, { metadata: METADATA });
  }
}

async function registerRouter(registry: Registry, manifestDigest: string): Promise<void> {
  const known = await registry.listResources({ kind: 'router-model' });
  // The operator may have activated another one since: a restart must not undo that.
  const registered = known.resources.some(
    ({ value }) => value.case === 'routerModel' && value.value.manifestDigest === manifestDigest,
  );
  if (registered) return;
  await registry.registerRouterModel(
    { routerModel: { manifestDigest }, activate: true },
    { metadata: METADATA },
  );
}

/** Puts a bundle of a folder into a store and registers it. */
export async function addBundle(
  folder: string,
  store: ArtifactStore,
  registry: Registry,
): Promise<AddedVersion> {
  await importBundle(folder, store);
  return registerBundle(registry, folder);
}
