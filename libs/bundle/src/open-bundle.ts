import { lstat, readFile, readdir, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { ThalamusError } from '@thalamus/errors';
import { digestOf, sha256Hex, sha256OfFile, type Digest } from './digest.js';
import { EXPERT_MANIFEST, type ExpertManifest } from './expert-manifest.js';
import type { FileEntry } from './manifest-fields.js';
import {
  MAX_MANIFEST_BYTES,
  parseExpertManifest,
  parseRouterManifest,
  type ManifestName,
} from './parse-manifest.js';
import { ROUTER_MANIFEST, type RouterManifest } from './router-manifest.js';
import { SIGNATURE_FILE } from './signing/bundle-signature.js';
import { systemCode } from './storage-error.js';

/** A bundle whose every file has been checked against its manifest. */
export interface OpenedBundle<M> {
  /** Absolute path of the folder. */
  readonly folder: string;
  /** The manifest. */
  readonly manifest: M;
  /** Identity of the bundle: digest of the manifest file's bytes. */
  readonly digest: Digest;
  /** Bytes of all listed files together. */
  readonly sizeBytes: number;
  /** True when the manifest lists this file. */
  has(path: string): boolean;
  /** Absolute path of a listed file. BUNDLE_INVALID when it is not listed. */
  filePath(path: string): string;
  /** Bytes of a listed file, whose digest is checked again on what was read. */
  readFile(path: string): Promise<Uint8Array>;
}

/** Limits of opening. */
export interface OpenBundleOptions {
  /** Most bytes of all files together; 32 GiB when absent. */
  readonly maxTotalBytes?: number;
}

const DEFAULT_TOTAL_BYTES = 32 * 2 ** 30;

/**
 * Opens an expert bundle. Nothing is handed out before the manifest is valid, every listed file is a plain file inside
 * the folder (no links) of the stated size, no other file but signatures is there, and every digest matches. Throws BUNDLE_INVALID
 * naming the file.
 */
export function openBundle(
  folder: string,
  options: OpenBundleOptions = {},
): Promise<OpenedBundle<ExpertManifest>> {
  return openChecked(folder, EXPERT_MANIFEST, parseExpertManifest, options);
}

/** Opens a router model's folder under the same rules. */
export function openRouterBundle(
  folder: string,
  options: OpenBundleOptions = {},
): Promise<OpenedBundle<RouterManifest>> {
  return openChecked(folder, ROUTER_MANIFEST, parseRouterManifest, options);
}

/** Identity of the bundle in a folder: digest of its manifest file. Reads nothing else. */
export async function bundleDigest(folder: string, name: ManifestName = EXPERT_MANIFEST): Promise<Digest> {
  return digestOf(await readManifest(folder, name));
}

async function openChecked<M extends { readonly files: readonly FileEntry[] }>(
  folder: string,
  name: ManifestName,
  parse: (bytes: Uint8Array, where: string) => M,
  options: OpenBundleOptions,
): Promise<OpenedBundle<M>> {
  const bytes = await readManifest(folder, name);
  const root = await realpath(folder);
  const manifest = parse(bytes, join(folder, name));
  const sizeBytes = manifest.files.reduce((sum, file) => sum + file.bytes, 0);
  const limit = options.maxTotalBytes ?? DEFAULT_TOTAL_BYTES;
  if (sizeBytes > limit) {
    throw refused(folder, 'files', `are ${sizeBytes} bytes together, more than the limit of ${limit}`);
  }
  await checkListing(root, new Set([name, SIGNATURE_FILE, ...manifest.files.map((file) => file.path)]));
  for (const file of manifest.files) await checkFile(root, file);
  const byPath = new Map(manifest.files.map((file) => [file.path, file]));
  const entry = (path: string): FileEntry => {
    const found = byPath.get(path);
    if (found === undefined) throw refused(folder, path, `is not listed in ${name}`);
    return found;
  };
  return {
    folder: root,
    manifest,
    digest: digestOf(bytes),
    sizeBytes,
    has: (path) => byPath.has(path),
    filePath: (path) => join(root, entry(path).path),
    readFile: async (path) => {
      const { sha256 } = entry(path);
      const content = await readFile(join(root, path));
      if (sha256Hex(content) !== sha256) throw refused(folder, path, 'changed after the bundle was opened');
      return content;
    },
  };
}

async function readManifest(folder: string, name: ManifestName): Promise<Uint8Array> {
  const path = join(folder, name);
  try {
    const facts = await lstat(path);
    if (!facts.isFile()) throw refused(folder, name, 'is not a plain file');
    if (facts.size > MAX_MANIFEST_BYTES)
      throw refused(folder, name, `is larger than ${MAX_MANIFEST_BYTES} bytes`);
    return await readFile(path);
  } catch (cause) {
    if (ThalamusError.is(cause)) throw cause;
    const code = errorCode(cause);
    if (code === 'ENOENT' || code === 'ENOTDIR') throw await noBundle(folder, name, cause);
    throw refused(folder, name, `cannot be read (${code})`, cause);
  }
}

async function checkListing(root: string, listed: ReadonlySet<string>, below = ''): Promise<void> {
  for (const entry of await readdir(join(root, below), { withFileTypes: true })) {
    const path = below === '' ? entry.name : `${below}/${entry.name}`;
    if (entry.isSymbolicLink()) throw refused(root, path, 'is a link; a bundle holds plain files only');
    if (entry.isDirectory()) {
      if (![...listed].some((name) => name.startsWith(`${path}/`)))
        throw refused(root, path, 'is not listed');
      await checkListing(root, listed, path);
    } else if (!entry.isFile()) throw refused(root, path, 'is not a plain file');
    else if (!listed.has(path)) throw refused(root, path, 'is not listed in the manifest');
  }
}

async function checkFile(root: string, file: FileEntry): Promise<void> {
  const path = join(root, file.path);
  const facts = await lstat(path).catch((cause: unknown) => {
    throw refused(root, file.path, `is listed but cannot be read (${errorCode(cause)})`, cause);
  });
  if (!facts.isFile()) throw refused(root, file.path, 'is not a plain file');
  if (facts.size !== file.bytes) {
    throw refused(root, file.path, `has ${facts.size} bytes where the manifest says ${file.bytes}`);
  }
  const found = await sha256OfFile(path);
  if (found !== file.sha256) {
    throw refused(root, file.path, `has sha256 ${found} where the manifest says ${file.sha256}`);
  }
}

/** The refusal of a folder without a manifest. */
async function noBundle(folder: string, name: ManifestName, cause: unknown): Promise<ThalamusError> {
  const facts = await lstat(folder).catch(() => undefined);
  const description = facts
    ? `is missing (ENOENT), so ${folder} is no bundle; "thalamus experts import" makes one of a model from elsewhere`
    : `cannot be read, since there is no ${folder}; give the folder of a bundle`;
  return new ThalamusError('BUNDLE_INVALID', `${name} ${description}.`, {
    violations: [{ field: name, description }],
    cause,
  });
}

function refused(folder: string, field: string, description: string, cause?: unknown): ThalamusError {
  return new ThalamusError(
    'BUNDLE_INVALID',
    `Bundle ${folder}: ${field} ${description}. Fetch or write the bundle again.`,
    { violations: [{ field, description }], cause },
  );
}

function errorCode(cause: unknown): string {
  return systemCode(cause) || 'unreadable';
}
