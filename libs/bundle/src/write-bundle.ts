import { randomBytes } from 'node:crypto';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { ThalamusError } from '@thalamus/errors';
import { digestOf, sha256Hex, type Digest } from './digest.js';
import { EXPERT_MANIFEST, type ExpertManifest } from './expert-manifest.js';
import { isPlainPath, type FileEntry } from './manifest-fields.js';
import {
  encodeManifest,
  parseExpertManifest,
  parseRouterManifest,
  type ManifestName,
} from './parse-manifest.js';
import { ROUTER_MANIFEST, type RouterManifest } from './router-manifest.js';
import { storageError, systemCode } from './storage-error.js';

/** Contents of the files of a bundle by relative path. */
export type BundleFiles = Readonly<Record<string, Uint8Array>>;

/** What was written. */
export interface WrittenBundle {
  /** The folder. */
  readonly folder: string;
  /** Identity: digest of the manifest. */
  readonly digest: Digest;
}

/**
 * Writes an expert bundle: the list of files with sizes and digests is made here. Atomic: the folder appears whole or
 * not at all (temporary folder beside it, flushed, then renamed); a folder that is there already is replaced.
 * BUNDLE_INVALID when the manifest breaks its schema, ARTIFACT_STORE_FULL when there is no space.
 */
export function writeBundle(
  folder: string,
  manifest: Omit<ExpertManifest, 'files'>,
  files: BundleFiles,
): Promise<WrittenBundle> {
  const whole: ExpertManifest = { ...manifest, files: listFiles(files) };
  const bytes = encodeManifest(whole);
  parseExpertManifest(bytes, join(folder, EXPERT_MANIFEST));
  return writeFolder(folder, EXPERT_MANIFEST, bytes, files);
}

/** Writes a router model's folder in the same way. */
export function writeRouterBundle(
  folder: string,
  manifest: Omit<RouterManifest, 'files'>,
  files: BundleFiles,
): Promise<WrittenBundle> {
  const whole: RouterManifest = { ...manifest, files: listFiles(files) };
  const bytes = encodeManifest(whole);
  parseRouterManifest(bytes, join(folder, ROUTER_MANIFEST));
  return writeFolder(folder, ROUTER_MANIFEST, bytes, files);
}

/** Entries for a manifest: path, SHA-256 and size, sorted by path. BUNDLE_INVALID on a path that leaves the folder. */
export function listFiles(files: BundleFiles): FileEntry[] {
  return Object.entries(files)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([path, content]) => {
      if (!isPlainPath(path)) {
        throw new ThalamusError('BUNDLE_INVALID', `"${path}" is not a plain relative path; rename the file.`);
      }
      return { path, sha256: sha256Hex(content), bytes: content.byteLength };
    });
}

async function writeFolder(
  folder: string,
  name: ManifestName,
  manifest: Uint8Array,
  files: BundleFiles,
): Promise<WrittenBundle> {
  const target = resolve(folder);
  const temporary = `${target}.writing-${randomBytes(6).toString('hex')}`;
  try {
    for (const [path, content] of Object.entries(files)) await writeFlushed(join(temporary, path), content);
    await writeFlushed(join(temporary, name), manifest);
    await moveIntoPlace(temporary, target);
  } catch (cause) {
    throw storageError(cause, dirname(target));
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
  return { folder: target, digest: digestOf(manifest) };
}

async function moveIntoPlace(temporary: string, target: string): Promise<void> {
  const old = `${target}.old-${randomBytes(6).toString('hex')}`;
  const replaced = await rename(target, old).then(
    () => true,
    (cause: unknown) => {
      if (systemCode(cause) === 'ENOENT') return false;
      throw cause;
    },
  );
  try {
    await rename(temporary, target);
  } catch (cause) {
    if (replaced) await rename(old, target);
    throw cause;
  }
  if (replaced) await rm(old, { recursive: true, force: true });
}

async function writeFlushed(path: string, content: Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const file = await open(path, 'wx');
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
}
