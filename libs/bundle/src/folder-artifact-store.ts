import { ThalamusError } from '@thalamus/errors';
import { randomUUID } from 'node:crypto';
import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { ArtifactFacts, ArtifactStore } from './artifact-store.port.js';
import { digestOf, parseDigest, type Digest } from './digest.js';

/** Artifacts in a folder: `<root>/sha256/<first two digits>/<digest>`. Written aside, flushed, renamed. */
export class FolderArtifactStore implements ArtifactStore {
  constructor(private readonly root: string) {}

  async put(bytes: Uint8Array): Promise<ArtifactFacts> {
    const digest = digestOf(bytes);
    const path = this.path(digest);
    const known = await this.stat(digest);
    if (known?.sizeBytes === bytes.byteLength) return known;
    await mkdir(dirname(path), { recursive: true });
    const draft = `${path}.${randomUUID()}.tmp`;
    try {
      const handle = await open(draft, 'wx');
      try {
        await handle.writeFile(bytes);
        await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(draft, path);
    } catch (cause) {
      await rm(draft, { force: true });
      if ((cause as NodeJS.ErrnoException).code === 'ENOSPC') {
        throw new ThalamusError(
          'ARTIFACT_STORE_FULL',
          `No space left for ${bytes.byteLength} bytes in ${this.root}; free some and try again.`,
          { cause },
        );
      }
      throw cause;
    }
    return { digest, sizeBytes: bytes.byteLength };
  }

  async get(digest: Digest): Promise<Uint8Array> {
    let bytes: Uint8Array;
    try {
      bytes = await readFile(this.path(digest));
    } catch (cause) {
      throw new ThalamusError('ARTIFACT_NOT_FOUND', `No artifact ${digest} is stored in ${this.root}.`, {
        cause,
      });
    }
    if (digestOf(bytes) !== digest) {
      throw new ThalamusError(
        'ARTIFACT_CORRUPT',
        `${this.path(digest)} does not match its digest; delete it and store the artifact again.`,
      );
    }
    return bytes;
  }

  async stat(digest: Digest): Promise<ArtifactFacts | undefined> {
    try {
      return { digest, sizeBytes: (await stat(this.path(digest))).size };
    } catch {
      return undefined;
    }
  }

  private path(digest: Digest): string {
    const hex = parseDigest(digest).slice(7);
    return join(this.root, 'sha256', hex.slice(0, 2), hex);
  }
}
