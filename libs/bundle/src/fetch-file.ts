import { createHash } from 'node:crypto';
import { mkdir, open, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { ThalamusError } from '@thalamus/errors';
import type { ArtifactStore } from './artifact-store.js';
import type { FileEntry } from './manifest-fields.js';

/** How a transfer is tried again. */
export interface FetchOptions {
  /** Tries in a row that bring no byte before the transfer is given up. Default 4. */
  readonly attempts?: number;
  /** Wait before the second try, milliseconds; doubles with each further one. Default 200. */
  readonly pauseMs?: number;
}

/**
 * Writes an artifact into a folder under its path in the bundle. When the store breaks off with a fault that may pass, it
 * is asked for the rest; size and digest are checked over all bytes.
 * @throws what the store throws, ARTIFACT_CORRUPT, BUNDLE_INVALID for another size than the manifest says
 */
export async function fetchFile(
  store: ArtifactStore,
  entry: FileEntry,
  folder: string,
  options: FetchOptions,
): Promise<void> {
  const path = join(folder, entry.path);
  await mkdir(dirname(path), { recursive: true });
  const file = await open(path, 'wx');
  try {
    const found = await copyWithResume(store, entry, file, options);
    if (found !== entry.sha256)
      throw new ThalamusError(
        'ARTIFACT_CORRUPT',
        `The store gave other bytes for sha256:${entry.sha256}; remove that artifact and import the bundle again.`,
      );
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Copies all bytes and returns their SHA-256 in hex. */
async function copyWithResume(
  store: ArtifactStore,
  entry: FileEntry,
  file: FileHandle,
  { attempts = 4, pauseMs = 200 }: FetchOptions,
): Promise<string> {
  const hash = createHash('sha256');
  let written = 0;
  for (let failures = 0; ;) {
    const before = written;
    try {
      for await (const chunk of store.get(`sha256:${entry.sha256}`, { offsetBytes: written })) {
        if (written + chunk.byteLength > entry.bytes) throw wrongSize(entry, 'more');
        await file.writeFile(chunk);
        hash.update(chunk);
        written += chunk.byteLength;
      }
      if (written < entry.bytes) throw wrongSize(entry, 'fewer');
      return hash.digest('hex');
    } catch (fault) {
      if (!ThalamusError.is(fault) || !fault.spec.retryable) throw fault;
      failures = written > before ? 1 : failures + 1;
      if (failures >= attempts) throw fault;
      await pause(pauseMs * 2 ** (failures - 1));
    }
  }
}

function wrongSize(entry: FileEntry, how: string): ThalamusError {
  return new ThalamusError(
    'BUNDLE_INVALID',
    `The store holds ${how} bytes of ${entry.path} than the ${entry.bytes} that the manifest says; write the bundle again.`,
  );
}
