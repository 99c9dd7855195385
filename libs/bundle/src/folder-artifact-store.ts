import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ThalamusError } from '@thalamus/errors';
import type {
  ArtifactSource,
  ArtifactStat,
  ArtifactStore,
  GetOptions,
  PutOptions,
  PutResult,
} from './artifact-store.js';
import { digestHex, parseDigest, type Digest } from './digest.js';
import { storageError, systemCode } from './storage-error.js';

const CHUNK_BYTES = 256 * 1024;

/**
 * Artifacts in a local folder: `<root>/sha256/<first two hex digits>/<64 hex digits>`. Writes go to `<root>/incoming`,
 * are flushed, and appear by rename, so that several processes may share a folder and a crash leaves nothing half
 * written under a digest. Putting an artifact again replaces a damaged copy of it.
 */
export class FolderArtifactStore implements ArtifactStore {
  readonly #root: string;

  /** `root` is made when the first artifact is stored. */
  constructor(root: string) {
    this.#root = root;
  }

  /** Where an artifact lies, whether or not it is stored. */
  pathOf(digest: Digest): string {
    const hex = digestHex(parseDigest(digest));
    return join(this.#root, 'sha256', hex.slice(0, 2), hex);
  }

  async put(source: ArtifactSource, options: PutOptions = {}): Promise<PutResult> {
    const temporary = join(this.#root, 'incoming', randomBytes(12).toString('hex'));
    try {
      await mkdir(dirname(temporary), { recursive: true });
      const written = await writeHashed(temporary, source, options.signal);
      if (options.digest !== undefined && options.digest !== written.digest) {
        throw corrupt(options.digest, `the bytes sent hash to ${written.digest}`);
      }
      const existing = await this.stat(written.digest);
      const target = this.pathOf(written.digest);
      await mkdir(dirname(target), { recursive: true });
      // Also over a copy that is there: what was just written is known to be whole, and readers keep the file they opened.
      await rename(temporary, target);
      await syncFolder(dirname(target));
      return { ...written, existed: existing !== undefined };
    } catch (cause) {
      throw storageError(cause, this.#root);
    } finally {
      await rm(temporary, { force: true });
    }
  }

  async *get(digest: Digest, options: GetOptions = {}): AsyncGenerator<Uint8Array, void, undefined> {
    const known = await this.stat(digest);
    if (known === undefined) throw notFound(digest);
    const hash = createHash('sha256');
    let skip = checkedOffset(options.offsetBytes ?? 0, known);
    const stream = createReadStream(this.pathOf(digest), { highWaterMark: CHUNK_BYTES });
    for await (const chunk of stream as AsyncIterable<Uint8Array>) {
      options.signal?.throwIfAborted();
      hash.update(chunk);
      const rest = chunk.subarray(Math.min(skip, chunk.byteLength));
      skip -= chunk.byteLength - rest.byteLength;
      if (rest.byteLength > 0) yield rest;
    }
    const found = hash.digest('hex');
    if (found !== digestHex(digest)) throw corrupt(digest, `the stored bytes hash to sha256:${found}`);
  }

  async stat(digest: Digest): Promise<ArtifactStat | undefined> {
    try {
      const facts = await stat(this.pathOf(digest));
      return facts.isFile() ? { digest, sizeBytes: facts.size } : undefined;
    } catch (cause) {
      if (systemCode(cause) === 'ENOENT') return undefined;
      throw cause;
    }
  }
}

function checkedOffset(offsetBytes: number, { digest, sizeBytes }: ArtifactStat): number {
  if (Number.isSafeInteger(offsetBytes) && offsetBytes >= 0 && offsetBytes <= sizeBytes) return offsetBytes;
  throw new ThalamusError(
    'REQUEST_INVALID',
    `Artifact ${digest} has ${sizeBytes} bytes and cannot be read from byte ${offsetBytes}.`,
    { violations: [{ field: 'offset_bytes', description: `must be 0 to ${sizeBytes}` }] },
  );
}

/** Makes a rename outlive a power cut. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function writeHashed(
  path: string,
  source: ArtifactSource,
  signal?: AbortSignal,
): Promise<ArtifactStat> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  const file = await open(path, 'wx');
  try {
    for await (const chunk of chunksOf(source)) {
      signal?.throwIfAborted();
      hash.update(chunk);
      sizeBytes += chunk.byteLength;
      await writeAll(file, chunk);
    }
    await file.sync();
  } finally {
    await file.close();
  }
  return { digest: `sha256:${hash.digest('hex')}`, sizeBytes };
}

async function writeAll(file: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let at = 0; at < chunk.byteLength;) at += (await file.write(chunk, at)).bytesWritten;
}

function chunksOf(source: ArtifactSource): AsyncIterable<Uint8Array> | Iterable<Uint8Array> {
  return source instanceof Uint8Array ? [source] : source;
}

function corrupt(digest: Digest, reason: string): ThalamusError {
  return new ThalamusError(
    'ARTIFACT_CORRUPT',
    `Artifact ${digest} is not what it claims: ${reason}. Remove it and fetch it again.`,
    { metadata: { digest } },
  );
}

function notFound(digest: Digest): ThalamusError {
  return new ThalamusError(
    'ARTIFACT_NOT_FOUND',
    `No artifact ${digest} is stored; import the bundle that holds it.`,
    { metadata: { digest } },
  );
}
