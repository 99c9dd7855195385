import {
  bundleDigest,
  EXPERT_MANIFEST,
  openBundle,
  type Digest,
  type ExpertManifest,
  type OpenedBundle,
} from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { zooFolder } from '../mesh/zoo-index.js';

/** Where a bundle is, by what its manifest says; its digests are checked when it is opened. */
export interface ParentBundle {
  readonly folder: string;
  readonly name: string;
  readonly version: string;
}

/** Folders of the zoo that hold classifiers and masked language models. */
const ZOO_FOLDERS = ['experts', 'language-models'];

/** Folders that parents are looked for in; default: those of the zoo. */
export function parentFolders(given: readonly string[]): readonly string[] {
  return given.length > 0 ? given : ZOO_FOLDERS.map((folder) => join(zooFolder(), folder));
}

/** Bundles in folders: each folder may be a bundle, or hold some. @throws CONFIG_INVALID for a folder that cannot be read */
export function listBundles(folders: readonly string[]): ParentBundle[] {
  return folders.flatMap((folder) => foldersIn(folder).flatMap((place) => identify(place)));
}

/** Opens the bundle of a name, and of a version when one is given. @throws EXPERT_NOT_FOUND, CONFIG_INVALID when several fit */
export function openParentBundle(
  bundles: readonly ParentBundle[],
  wanted: { readonly name: string; readonly version: string },
  folders: readonly string[],
): Promise<OpenedBundle<ExpertManifest>> {
  const named = bundles.filter(({ name }) => name === wanted.name);
  const fitting = named.filter(({ version }) => wanted.version === '' || version === wanted.version);
  const [found, ...more] = fitting;
  const where = folders.join(', ');
  if (!found) {
    const versions = named.map(({ version }) => version).join(', ');
    const known = [...new Set(bundles.map(({ name }) => name))].sort().join(', ') || 'none';
    throw new ThalamusError(
      'EXPERT_NOT_FOUND',
      versions === ''
        ? `No bundle of ${wanted.name} is in ${where}; there are: ${known}. Name the folder that holds it with --parents.`
        : `${wanted.name} has no version ${wanted.version} in ${where}, but ${versions}; write one of these, or name another folder with --parents.`,
      { violations: [{ field: 'recipe.models', description: `${wanted.name} is not found` }] },
    );
  }
  if (more.length > 0)
    throw new ThalamusError(
      'CONFIG_INVALID',
      `Several bundles are ${wanted.name}${wanted.version && `@${wanted.version}`}: ${fitting.map(({ folder, version }) => `${folder} (version ${version})`).join(', ')}; write ${wanted.name}@VERSION in the recipe, or name one folder with --parents.`,
    );
  return openBundle(found.folder);
}

/** Opens the bundle of a digest; undefined when none of them has it. */
export async function openByDigest(
  bundles: readonly ParentBundle[],
  digest: Digest,
): Promise<OpenedBundle<ExpertManifest> | undefined> {
  for (const { folder } of bundles) if ((await bundleDigest(folder)) === digest) return openBundle(folder);
  return undefined;
}

function foldersIn(folder: string): string[] {
  if (existsSync(join(folder, EXPERT_MANIFEST))) return [folder];
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && existsSync(join(folder, entry.name, EXPERT_MANIFEST)))
      .map((entry) => join(folder, entry.name))
      .sort();
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'unknown fault';
    throw new ThalamusError(
      'CONFIG_INVALID',
      `${folder} cannot be read (${code}); name a folder of bundles with --parents.`,
      { cause },
    );
  }
}

/** A damaged manifest is nobody's: what is not asked for does not stand in the way. */
function identify(folder: string): ParentBundle[] {
  try {
    const { name, version } = JSON.parse(readFileSync(join(folder, EXPERT_MANIFEST), 'utf8')) as Record<
      string,
      unknown
    >;
    return typeof name === 'string' && typeof version === 'string' ? [{ folder, name, version }] : [];
  } catch {
    return [];
  }
}
