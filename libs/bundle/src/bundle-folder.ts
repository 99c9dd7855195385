import { ThalamusError } from '@thalamus/errors';
import { mkdir, mkdtemp, open, rename, rm, lstat, writeFile } from 'node:fs/promises';
import { constants } from 'node:fs';
import { dirname, join } from 'node:path';
import type { z } from 'zod';
import { digestOf, type Digest } from './digest.js';
import { EXPERT_MANIFEST, expertManifestSchema, type ExpertManifest } from './expert-manifest.js';
import { ROUTER_MANIFEST, routerManifestSchema, type RouterManifest } from './router-manifest.js';

/** A folder whose every file has been checked against its manifest. */
export interface OpenedBundle<M> {
  readonly folder: string;
  readonly manifest: M;
  /** Digest of the manifest's bytes: the identity of the bundle. */
  readonly digest: Digest;
  /** Bytes of the manifest. */
  readonly manifestBytes: Uint8Array;
  /** Path of a listed file. @throws BUNDLE_INVALID when it is not listed. */
  path(file: string): string;
  /** Bytes of a listed file, checked again as they are read. */
  read(file: string): Promise<Uint8Array>;
}

type Listed = {
  readonly files: readonly { readonly path: string; readonly sha256: string; readonly bytes: number }[];
};

/** Parses the bytes of expert.json. @throws BUNDLE_INVALID with every faulty field. */
export function parseExpertManifest(bytes: Uint8Array): ExpertManifest {
  return parseManifest(bytes, expertManifestSchema, EXPERT_MANIFEST);
}

/** Parses the bytes of router.json. @throws BUNDLE_INVALID with every faulty field. */
export function parseRouterManifest(bytes: Uint8Array): RouterManifest {
  return parseManifest(bytes, routerManifestSchema, ROUTER_MANIFEST);
}

/** Opens an expert bundle: manifest, every size and every digest are checked first. */
export function openExpertBundle(folder: string): Promise<OpenedBundle<ExpertManifest>> {
  return openFolder(folder, EXPERT_MANIFEST, parseExpertManifest);
}

/** Opens a router model folder in the same way. */
export function openRouterBundle(folder: string): Promise<OpenedBundle<RouterManifest>> {
  return openFolder(folder, ROUTER_MANIFEST, parseRouterManifest);
}

/** A file that a bundle will hold. */
export interface BundleFile {
  readonly path: string;
  readonly bytes: Uint8Array;
}

/**
 * Writes a bundle folder at once: files go to a folder beside it, which is renamed in the end, so that nobody ever sees
 * half a bundle. `files` of the manifest are computed here.
 */
export async function writeExpertBundle(
  folder: string,
  manifest: Omit<ExpertManifest, 'files'>,
  files: readonly BundleFile[],
): Promise<OpenedBundle<ExpertManifest>> {
  await writeFolder(folder, EXPERT_MANIFEST, manifest, files, parseExpertManifest);
  return openExpertBundle(folder);
}

/** Writes a router model folder in the same way. */
export async function writeRouterBundle(
  folder: string,
  manifest: Omit<RouterManifest, 'files'>,
  files: readonly BundleFile[],
): Promise<OpenedBundle<RouterManifest>> {
  await writeFolder(folder, ROUTER_MANIFEST, manifest, files, parseRouterManifest);
  return openRouterBundle(folder);
}

function parseManifest<S extends z.ZodType>(bytes: Uint8Array, schema: S, name: string): z.infer<S> {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new ThalamusError('BUNDLE_INVALID', `${name} is not JSON in UTF-8.`, { cause });
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const violations = parsed.error.issues.map((issue) => ({
    field: issue.path.join('.') || name,
    description: issue.message,
  }));
  const list = violations.map(({ field, description }) => `${field}: ${description}`).join('; ');
  throw new ThalamusError('BUNDLE_INVALID', `${name} is not valid: ${list}.`, { violations });
}

async function openFolder<M extends Listed>(
  folder: string,
  name: string,
  parse: (bytes: Uint8Array) => M,
): Promise<OpenedBundle<M>> {
  const manifestBytes = await readListed(folder, name, undefined);
  const manifest = parse(manifestBytes);
  const byPath = new Map(manifest.files.map((file) => [file.path, file]));
  const find = (path: string) => {
    const file = byPath.get(path);
    if (!file) throw new ThalamusError('BUNDLE_INVALID', `The bundle in ${folder} lists no file ${path}.`);
    return file;
  };
  const read = async (path: string) => readListed(folder, path, find(path));
  for (const file of manifest.files) await read(file.path);
  return {
    folder,
    manifest,
    manifestBytes,
    digest: digestOf(manifestBytes),
    path: (path) => join(folder, find(path).path),
    read,
  };
}

/** Reads through one handle that follows no link, so that what is checked is what is used. */
async function readListed(
  folder: string,
  path: string,
  expected: Listed['files'][number] | undefined,
): Promise<Uint8Array> {
  const full = join(folder, path);
  for (let part = dirname(path); part !== '.'; part = dirname(part)) {
    if ((await lstat(join(folder, part))).isSymbolicLink()) refuse(full, 'lies behind a symbolic link');
  }
  let handle;
  try {
    handle = await open(full, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (cause) {
    const reason =
      (cause as NodeJS.ErrnoException).code === 'ELOOP' ? 'is a symbolic link' : 'cannot be opened';
    throw new ThalamusError('BUNDLE_INVALID', `${full} ${reason}; a bundle holds plain files only.`, {
      cause,
    });
  }
  try {
    const { size } = await handle.stat();
    if (expected && size !== expected.bytes)
      refuse(full, `has ${size} bytes, but the manifest says ${expected.bytes}`);
    const bytes = await handle.readFile();
    if (expected && digestOf(bytes) !== `sha256:${expected.sha256}`)
      refuse(full, 'does not match its sha256 in the manifest');
    return bytes;
  } finally {
    await handle.close();
  }
}

function refuse(path: string, reason: string): never {
  throw new ThalamusError('BUNDLE_INVALID', `${path} ${reason}; fetch or export the bundle again.`);
}

async function writeFolder(
  folder: string,
  name: string,
  manifest: object,
  files: readonly BundleFile[],
  parse: (bytes: Uint8Array) => unknown,
): Promise<void> {
  const listed = files.map(({ path, bytes }) => ({
    path,
    sha256: digestOf(bytes).slice(7),
    bytes: bytes.byteLength,
  }));
  const text = new TextEncoder().encode(`${JSON.stringify({ ...manifest, files: listed }, null, 2)}\n`);
  parse(text);
  await mkdir(dirname(folder), { recursive: true });
  const draft = await mkdtemp(join(dirname(folder), '.bundle-'));
  try {
    for (const { path, bytes } of files) {
      await mkdir(dirname(join(draft, path)), { recursive: true });
      await writeFile(join(draft, path), bytes);
    }
    await writeFile(join(draft, name), text);
    await rm(folder, { recursive: true, force: true });
    await rename(draft, folder);
  } catch (fault) {
    await rm(draft, { recursive: true, force: true });
    throw fault;
  }
}
