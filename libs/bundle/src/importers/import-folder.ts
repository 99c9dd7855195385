import { open, readdir, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { ThalamusError } from '@thalamus/errors';
import { refusedFile } from '../low-rank-format.js';
import { systemCode } from '../storage-error.js';

/** Most files and folders that are looked at. */
const MAX_ENTRIES = 10_000;
/** Folders within folders that are looked at. */
const MAX_DEPTH = 4;
/** Largest JSON or text file of a model that is read whole, bytes; tokenizers of large vocabularies have some 17 MB. */
const MAX_TEXT_BYTES = 64 * 2 ** 20;

const UNREADABLE: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist; give the folder of a model',
  ENOTDIR: 'is no folder; give the one that the model lies in',
};

/** A folder that a model is imported from: its plain files, found without following a link. */
export interface ImportFolder {
  /** Absolute path. */
  readonly path: string;
  /** Bytes of each plain file by its path in the folder, with slashes. */
  readonly files: ReadonlyMap<string, number>;
  /** Paths of links, which are not followed. */
  readonly links: ReadonlySet<string>;
}

/**
 * Lists a folder, four levels deep; what begins with a dot is left out.
 * @throws BUNDLE_INVALID when it cannot be read or holds more than 10,000 entries
 */
export async function listImportFolder(folder: string): Promise<ImportFolder> {
  const files = new Map<string, number>();
  const links = new Set<string>();
  let seen = 0;
  const list = async (root: string, below: string, depth: number): Promise<void> => {
    for (const entry of await readdir(join(root, below), { withFileTypes: true })) {
      if (entry.name.startsWith('.')) continue;
      if ((seen += 1) > MAX_ENTRIES)
        throw refusedFolder(folder, `holds more than ${MAX_ENTRIES} files; give the folder of one model`);
      const path = below === '' ? entry.name : `${below}/${entry.name}`;
      if (entry.isSymbolicLink()) links.add(path);
      else if (entry.isDirectory() && depth < MAX_DEPTH) await list(root, path, depth + 1);
      else if (entry.isFile()) files.set(path, await sizeOf(join(root, path)));
    }
  };
  try {
    const path = await realpath(folder);
    await list(path, '', 1);
    return { path, files, links };
  } catch (cause) {
    const code = systemCode(cause);
    if (code === '') throw cause;
    const description = UNREADABLE[code] ?? `cannot be read (${code}); see to it that you may`;
    throw new ThalamusError('BUNDLE_INVALID', `${folder} ${description}.`, {
      violations: [{ field: 'folder', description }],
      cause,
    });
  }
}

/** Absolute path of a plain file of the folder. @throws BUNDLE_INVALID for one that is missing, `hint` says what to do, or a link */
export function needFile({ path, files, links }: ImportFolder, file: string, hint: string): string {
  if (files.has(file)) return join(path, file);
  const steps = file.split('/').map((_, index, all) => all.slice(0, index + 1).join('/'));
  const link = steps.find((step) => links.has(step));
  if (link !== undefined)
    throw refusedFile(
      path,
      link,
      '',
      'is a link, which is not followed; put the file itself in its place (cp -L)',
    );
  throw refusedFile(path, file, '', `is missing; ${hint}`);
}

/** Bytes of a file that is read whole. @throws BUNDLE_INVALID when it is missing, a link, or too large */
export async function readWhole(
  folder: ImportFolder,
  file: string,
  hint: string,
  maxBytes = MAX_TEXT_BYTES,
): Promise<Uint8Array> {
  const path = needFile(folder, file, hint);
  const handle = await open(path, 'r');
  try {
    const { size } = await handle.stat();
    if (size > maxBytes)
      throw refusedFile(folder.path, file, '', `has ${size} bytes; at most ${maxBytes} are read`);
    return await handle.readFile();
  } finally {
    await handle.close();
  }
}

/** A JSON file of the folder; undefined when there is none. @throws BUNDLE_INVALID when it is no JSON in UTF-8 */
export async function readJson(folder: ImportFolder, file: string): Promise<unknown> {
  if (!folder.files.has(file) && !folder.links.has(file)) return undefined;
  const bytes = await readWhole(folder, file, '');
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw refusedFile(folder.path, file, '', 'is not JSON in UTF-8', cause);
  }
}

/** The refusal of a folder as a whole. */
export function refusedFolder(folder: string, description: string, cause?: unknown): ThalamusError {
  return refusedFile(folder, 'the folder', '', description, cause);
}

async function sizeOf(path: string): Promise<number> {
  const handle = await open(path, 'r');
  try {
    return (await handle.stat()).size;
  } finally {
    await handle.close();
  }
}
