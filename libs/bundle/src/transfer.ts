import { mkdir, mkdtemp, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { ArtifactStore } from './artifact-store.port.js';
import {
  openExpertBundle,
  openRouterBundle,
  parseExpertManifest,
  parseRouterManifest,
  type OpenedBundle,
} from './bundle-folder.js';
import type { Digest } from './digest.js';
import { EXPERT_MANIFEST, type ExpertManifest } from './expert-manifest.js';
import { ROUTER_MANIFEST, type RouterManifest } from './router-manifest.js';

/** Stores every file of an opened bundle and then its manifest; returns the digest of the manifest. */
export async function importBundle(
  bundle: OpenedBundle<{ readonly files: readonly { readonly path: string; readonly sha256: string }[] }>,
  store: ArtifactStore,
): Promise<Digest> {
  for (const file of bundle.manifest.files) {
    if (!(await store.stat(`sha256:${file.sha256}`))) await store.put(await bundle.read(file.path));
  }
  await store.put(bundle.manifestBytes);
  return bundle.digest;
}

/** Fetches an expert bundle into a cache folder, or uses what is there, and opens it with every digest checked. */
export function materialiseExpert(
  digest: Digest,
  store: ArtifactStore,
  cache: string,
): Promise<OpenedBundle<ExpertManifest>> {
  return materialise(digest, store, cache, {
    name: EXPERT_MANIFEST,
    parse: parseExpertManifest,
    open: openExpertBundle,
  });
}

/** The same for a router model. */
export function materialiseRouter(
  digest: Digest,
  store: ArtifactStore,
  cache: string,
): Promise<OpenedBundle<RouterManifest>> {
  return materialise(digest, store, cache, {
    name: ROUTER_MANIFEST,
    parse: parseRouterManifest,
    open: openRouterBundle,
  });
}

interface Kind<M> {
  readonly name: string;
  readonly parse: (bytes: Uint8Array) => M;
  readonly open: (folder: string) => Promise<OpenedBundle<M>>;
}

async function materialise<
  M extends { readonly files: readonly { readonly path: string; readonly sha256: string }[] },
>(digest: Digest, store: ArtifactStore, cache: string, kind: Kind<M>): Promise<OpenedBundle<M>> {
  const folder = join(cache, digest.slice(7));
  if (await exists(folder)) {
    try {
      return await kind.open(folder);
    } catch {
      // A damaged cache entry is fetched again.
      await rm(folder, { recursive: true, force: true });
    }
  }
  await mkdir(cache, { recursive: true });
  const draft = await mkdtemp(join(cache, '.fetch-'));
  try {
    const bytes = await store.get(digest);
    for (const file of kind.parse(bytes).files) {
      await mkdir(dirname(join(draft, file.path)), { recursive: true });
      await writeFile(join(draft, file.path), await store.get(`sha256:${file.sha256}`));
    }
    await writeFile(join(draft, kind.name), bytes);
    await rename(draft, folder).catch(async (fault: unknown) => {
      // Another process was first; its entry is as good.
      if (!(await exists(folder))) throw fault;
    });
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  return kind.open(folder);
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
