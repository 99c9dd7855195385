import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { copyFile, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { ThalamusError } from '@thalamus/errors';
import { digestOf, sha256Hex, sha256OfFile, type Digest } from './digest.js';
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

/** A file of a bundle that is copied from elsewhere, never held in memory. */
export interface CopiedFile {
  /** Path of the file. */
  readonly from: string;
}

/** Contents of the files of a bundle by relative path. */
export type BundleFiles = Readonly<Record<string, Uint8Array>>;

/** Files of a bundle by relative path: their contents, or where they are copied from. */
export type BundleSources = Readonly<Record<string, Uint8Array | CopiedFile>>;

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
export async function writeBundle(
  folder: string,
  manifest: Omit<ExpertManifest, 'files'>,
  files: BundleSources,
): Promise<WrittenBundle> {
  const whole: ExpertManifest = { ...manifest, files: await listSources(files) };
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
      requirePlain(path);
      return { path, sha256: sha256Hex(content), bytes: content.byteLength };
    });
}

/** As `listFiles`; what is copied is read piece by piece. */
async function listSources(sources: BundleSources): Promise<FileEntry[]> {
  const entries: FileEntry[] = [];
  for (const [path, source] of Object.entries(sources)) {
    if (source instanceof Uint8Array) entries.push(...listFiles({ [path]: source }));
    else {
      requirePlain(path);
      entries.push({ path, sha256: await sha256OfFile(source.from), bytes: (await stat(source.from)).size });
    }
  }
  return entries.sort((a, b) => (a.path < b.path ? -1 : 1));
}

function requirePlain(path: string): void {
  if (!isPlainPath(path))
    throw new ThalamusError('BUNDLE_INVALID', `"${path}" is not a plain relative path; rename the file.`);
}

async function writeFolder(
  folder: string,
  name: ManifestName,
  manifest: Uint8Array,
  files: BundleSources,
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

async function writeFlushed(path: string, content: Uint8Array | CopiedFile): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  if (!(content instanceof Uint8Array)) await copyFile(content.from, path, constants.COPYFILE_EXCL);
  const file = await open(path, content instanceof Uint8Array ? 'wx' : 'r');
  try {
    if (content instanceof Uint8Array) await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
}
