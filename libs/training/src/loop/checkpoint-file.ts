import { readSafetensors, writeSafetensors, type StoredTensor } from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import { existsSync, readFileSync } from 'node:fs';
import { open, rename, rm, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';

/** What a checkpoint holds: tensors by name, and facts as JSON. */
export interface CheckpointContent {
  readonly tensors: ReadonlyMap<string, { readonly shape: readonly number[]; readonly data: Float32Array }>;
  readonly facts: unknown;
}

/** How files are opened; another for tests of full disks. */
export type OpenFile = (path: string, flags: string) => Promise<FileHandle>;

/**
 * A file that appears whole or not at all: written beside its place, flushed, renamed, the folder flushed. The file that
 * was there stays until then, also when the disk is full.
 * @throws ARTIFACT_STORE_FULL that names the file and says what to do; INTERNAL for other faults of the disk
 */
export async function writeWhole(path: string, bytes: Uint8Array, openFile: OpenFile = open): Promise<void> {
  const temporary = `${path}.writing`;
  try {
    const file = await openFile(temporary, 'w');
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    const folder = await open(dirname(path), 'r');
    await folder.sync().finally(() => folder.close());
  } catch (cause) {
    await rm(temporary, { force: true });
    throw diskFault(cause, path, bytes.byteLength);
  }
}

/** Writes a checkpoint whole. @throws ARTIFACT_STORE_FULL */
export async function writeCheckpoint(
  path: string,
  { tensors, facts }: CheckpointContent,
  openFile: OpenFile = open,
): Promise<void> {
  const stored: Record<string, StoredTensor> = {};
  for (const [name, { shape, data }] of tensors)
    stored[name] = {
      type: 'F32',
      shape,
      bytes: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
    };
  await writeWhole(path, writeSafetensors(stored, { facts: JSON.stringify(facts) }), openFile);
}

/** Reads a checkpoint; undefined when there is none. @throws BUNDLE_INVALID when the file is damaged */
export function readCheckpoint(path: string): CheckpointContent | undefined {
  if (!existsSync(path)) return undefined;
  const { tensors, metadata } = readSafetensors(readFileSync(path));
  return {
    // Copies, since tensors of the file need not lie where float32 may.
    tensors: new Map(
      [...tensors].map(([name, { shape, bytes }]) => [
        name,
        { shape, data: new Float32Array(new Uint8Array(bytes).buffer) },
      ]),
    ),
    facts: JSON.parse(metadata['facts'] ?? 'null') as unknown,
  };
}

/** What to say about a write that failed: ARTIFACT_STORE_FULL when there is no space, else CONFIG_INVALID. */
export function diskFault(cause: unknown, path: string, sizeBytes: number): ThalamusError {
  const code = (cause as NodeJS.ErrnoException).code ?? '';
  if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG')
    return new ThalamusError(
      'ARTIFACT_STORE_FULL',
      `The disk is full: ${path} needs ${Math.ceil(sizeBytes / 1e6)} MB. Free space and run the same command again; what was there before is kept.`,
      { cause },
    );
  return new ThalamusError(
    'CONFIG_INVALID',
    `${path} cannot be written (${code || 'unknown fault'}); choose another folder or give access to this one.`,
    { cause },
  );
}
