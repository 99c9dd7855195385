import { createReadStream } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { lstat, mkdir, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { ThalamusError } from '@thalamus/errors';
import type { ArtifactStore } from './artifact-store.js';
import { digestHex, digestOf, parseDigest, type Digest } from './digest.js';
import { EXPERT_MANIFEST, type ExpertManifest } from './expert-manifest.js';
import { fetchFile, type FetchOptions } from './fetch-file.js';
import { openBundle, openRouterBundle, type OpenedBundle } from './open-bundle.js';
import {
  MAX_MANIFEST_BYTES,
  manifestNameOf,
  parseExpertManifest,
  parseRouterManifest,
  type ManifestName,
} from './parse-manifest.js';
import { ROUTER_MANIFEST, type RouterManifest } from './router-manifest.js';
import { storageError, systemCode } from './storage-error.js';

/** A folder that a crashed process was filling is removed once it is this old, milliseconds. */
const ABANDONED_MS = 3_600_000;

/** What was imported. */
export interface ImportedBundle {
  /** Digest of the manifest. */
  readonly digest: Digest;
  /** The manifest. */
  readonly manifest: ExpertManifest | RouterManifest;
  /** Bytes of all files, manifest included. */
  readonly sizeBytes: number;
}

/**
 * Puts every file of a bundle, then its manifest, into a store; the folder may hold an expert or a router model. The
 * bundle is verified first (BUNDLE_INVALID), so a store never learns of a broken one.
 */
export async function importBundle(folder: string, store: ArtifactStore): Promise<ImportedBundle> {
  const name = await manifestIn(folder);
  const opened: OpenedBundle<ExpertManifest | RouterManifest> =
    name === ROUTER_MANIFEST ? await openRouterBundle(folder) : await openBundle(folder);
  for (const file of opened.manifest.files) {
    await store.put(createReadStream(opened.filePath(file.path)), { digest: `sha256:${file.sha256}` });
  }
  const manifestBytes = await readFile(join(opened.folder, name));
  await store.put(manifestBytes, { digest: opened.digest });
  return {
    digest: opened.digest,
    manifest: opened.manifest,
    sizeBytes: opened.sizeBytes + manifestBytes.byteLength,
  };
}

/**
 * A folder holding the verified bundle of a manifest digest: `<cacheFolder>/<hex>`. What is cached is verified again; a
 * damaged copy is fetched anew. A transfer that breaks off goes on from where it stopped. Appears by rename, so callers in
 * several processes may race. ARTIFACT_NOT_FOUND, ARTIFACT_CORRUPT and BUNDLE_INVALID as the store and the bundle give
 * them, ARTIFACT_STORE_FULL when the cache has no space.
 */
export async function materialiseBundle(
  digest: Digest,
  store: ArtifactStore,
  cacheFolder: string,
  options: FetchOptions = {},
): Promise<string> {
  const target = join(resolve(cacheFolder), digestHex(parseDigest(digest)));
  const cached = await verify(target, digest);
  if (cached === 'sound') return target;
  if (cached === 'damaged') await rm(target, { recursive: true, force: true });
  const manifestBytes = await readArtifact(store, digest, MAX_MANIFEST_BYTES);
  const name = manifestNameOf(manifestBytes, digest);
  const { files } =
    name === ROUTER_MANIFEST
      ? parseRouterManifest(manifestBytes, digest)
      : parseExpertManifest(manifestBytes, digest);
  await removeAbandoned(resolve(cacheFolder));
  const temporary = `${target}${FETCHING}${randomBytes(6).toString('hex')}`;
  try {
    await mkdir(temporary, { recursive: true });
    for (const file of files) await fetchFile(store, file, temporary, options);
    await writeFile(join(temporary, name), manifestBytes, { flag: 'wx', flush: true });
    await rename(temporary, target).catch(async (cause: unknown) => {
      if ((await verify(target, digest)) !== 'sound') throw cause;
    });
  } catch (cause) {
    throw storageError(cause, cacheFolder);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
  return target;
}

/** All bytes of an artifact, verified. BUNDLE_INVALID when there are more than `maxBytes`. */
export async function readArtifact(
  store: ArtifactStore,
  digest: Digest,
  maxBytes: number,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let total = 0;
  for await (const chunk of store.get(digest)) {
    total += chunk.byteLength;
    if (total > maxBytes) {
      throw new ThalamusError(
        'BUNDLE_INVALID',
        `Artifact ${digest} is larger than the ${maxBytes} bytes allowed here.`,
      );
    }
    chunks.push(chunk);
  }
  const bytes = Buffer.concat(chunks);
  if (digestOf(bytes) !== digest) {
    throw new ThalamusError(
      'ARTIFACT_CORRUPT',
      `The store gave other bytes for ${digest}; remove that artifact.`,
    );
  }
  return bytes;
}

async function manifestIn(folder: string): Promise<ManifestName> {
  const isRouter = await lstat(join(folder, ROUTER_MANIFEST)).then(
    (facts) => facts.isFile(),
    () => false,
  );
  return isRouter ? ROUTER_MANIFEST : EXPERT_MANIFEST;
}

async function verify(folder: string, digest: Digest): Promise<'absent' | 'sound' | 'damaged'> {
  const present = await lstat(folder).then(
    () => true,
    () => false,
  );
  if (!present) return 'absent';
  try {
    const name = await manifestIn(folder);
    const opened = name === ROUTER_MANIFEST ? await openRouterBundle(folder) : await openBundle(folder);
    return opened.digest === digest ? 'sound' : 'damaged';
  } catch (cause) {
    if (ThalamusError.is(cause) && cause.code === 'BUNDLE_INVALID') return 'damaged';
    throw cause;
  }
}

const FETCHING = '.fetching-';

async function removeAbandoned(cacheFolder: string): Promise<void> {
  const names = await readdir(cacheFolder).catch((cause: unknown) => {
    if (systemCode(cause) === 'ENOENT') return [];
    throw cause;
  });
  for (const name of names.filter((entry) => entry.includes(FETCHING))) {
    const path = join(cacheFolder, name);
    const facts = await lstat(path).catch(() => undefined);
    if (facts && Date.now() - facts.mtimeMs > ABANDONED_MS) await rm(path, { recursive: true, force: true });
  }
}
