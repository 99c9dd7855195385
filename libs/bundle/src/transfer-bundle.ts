import { createReadStream } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { lstat, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { ThalamusError } from '@thalamus/errors';
import type { ArtifactStore } from './artifact-store.js';
import { digestHex, digestOf, parseDigest, type Digest } from './digest.js';
import { EXPERT_MANIFEST, type ExpertManifest } from './expert-manifest.js';
import type { FileEntry } from './manifest-fields.js';
import { openBundle, openRouterBundle, type OpenedBundle } from './open-bundle.js';
import {
  MAX_MANIFEST_BYTES,
  manifestNameOf,
  parseExpertManifest,
  parseRouterManifest,
  type ManifestName,
} from './parse-manifest.js';
import { ROUTER_MANIFEST, type RouterManifest } from './router-manifest.js';

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
 * damaged copy is fetched anew. Appears by rename, so callers in several processes may race. ARTIFACT_NOT_FOUND,
 * ARTIFACT_CORRUPT and BUNDLE_INVALID as the store and the bundle give them.
 */
export async function materialiseBundle(
  digest: Digest,
  store: ArtifactStore,
  cacheFolder: string,
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
  const temporary = `${target}.fetching-${randomBytes(6).toString('hex')}`;
  try {
    await mkdir(temporary, { recursive: true });
    for (const file of files) await fetchFile(store, file, temporary);
    await writeChunks(join(temporary, name), [manifestBytes], manifestBytes.byteLength);
    await rename(temporary, target).catch(async (cause: unknown) => {
      if ((await verify(target, digest)) !== 'sound') throw cause;
    });
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

async function fetchFile(store: ArtifactStore, file: FileEntry, folder: string): Promise<void> {
  const path = join(folder, file.path);
  await mkdir(dirname(path), { recursive: true });
  await writeChunks(path, store.get(`sha256:${file.sha256}`), file.bytes);
}

async function writeChunks(
  path: string,
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  expectedBytes: number,
): Promise<void> {
  const file = await open(path, 'wx');
  let written = 0;
  try {
    for await (const chunk of chunks) {
      written += chunk.byteLength;
      if (written > expectedBytes) break;
      await file.writeFile(chunk);
    }
    await file.sync();
  } finally {
    await file.close();
  }
  if (written !== expectedBytes) {
    throw new ThalamusError(
      'BUNDLE_INVALID',
      `${path} has not the ${expectedBytes} bytes that the manifest says; write the bundle again.`,
    );
  }
}
