import { ThalamusError } from '@thalamus/errors';
import { mkdir, readFile, readdir, truncate, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { sampleFiles, sampleManifest, temporaryFolder } from '../test/sample-bundle.js';
import type { ArtifactStore, GetOptions } from './artifact-store.js';
import { digestHex, digestOf, type Digest } from './digest.js';
import { FolderArtifactStore } from './folder-artifact-store.js';
import { openBundle } from './open-bundle.js';
import { importBundle, materialiseBundle, readArtifact } from './transfer-bundle.js';
import { writeBundle } from './write-bundle.js';

/** A store that holds the sample bundle, and a cache folder. */
async function stored() {
  const root = await temporaryFolder();
  const folder = join(root, 'sample');
  const { digest } = await writeBundle(folder, sampleManifest(), sampleFiles());
  const store = new FolderArtifactStore(join(root, 'store'));
  const imported = await importBundle(folder, store);
  expect(imported.digest).toBe(digest);
  return { root, folder, digest, store, imported, cache: join(root, 'cache') };
}

const ORIGIN = 'notes/origin.txt';
const originDigest = digestOf(sampleFiles()[ORIGIN]!);

/** A store whose stream of one artifact breaks off after so many bytes, as often as there are numbers. */
class BreakingStore implements ArtifactStore {
  readonly offsets: number[] = [];

  constructor(
    private readonly store: ArtifactStore,
    private readonly breaks: number[],
    private readonly fault: () => Error = () =>
      new ThalamusError('UPSTREAM_UNAVAILABLE', 'the line went dead'),
  ) {}

  put = (...args: Parameters<ArtifactStore['put']>) => this.store.put(...args);
  stat = (digest: Digest) => this.store.stat(digest);

  async *get(digest: Digest, options: GetOptions = {}): AsyncIterable<Uint8Array> {
    if (digest !== originDigest) {
      yield* this.store.get(digest, options);
      return;
    }
    this.offsets.push(options.offsetBytes ?? 0);
    let left = this.breaks.shift();
    for await (const chunk of this.store.get(digest, options)) {
      if (left === undefined) yield chunk;
      else if (left > 0) yield chunk.subarray(0, left);
      if (left !== undefined && (left -= chunk.length) <= 0) throw this.fault();
    }
  }
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    if (ThalamusError.is(error)) return error.code;
    throw error;
  }
  throw new Error('nothing was refused');
}

const fast = { pauseMs: 1 };

describe('importBundle and materialiseBundle', () => {
  it('carry a bundle through a store unchanged', async () => {
    const { folder, digest, store, imported, cache } = await stored();
    const path = await materialiseBundle(digest, store, cache);
    expect(path).toBe(join(cache, digestHex(digest)));
    expect((await openBundle(path)).digest).toBe(digest);
    expect(await readFile(join(path, ORIGIN))).toEqual(await readFile(join(folder, ORIGIN)));
    const manifestBytes = (await readFile(join(folder, 'expert.json'))).length;
    expect(imported.sizeBytes).toBe((await openBundle(path)).sizeBytes + manifestBytes);
  });

  it('put nothing of a bundle that is damaged', async () => {
    const { root, folder } = await stored();
    await truncate(join(folder, ORIGIN), 10);
    const empty = new FolderArtifactStore(join(root, 'empty'));
    expect(await codeOf(importBundle(folder, empty))).toBe('BUNDLE_INVALID');
    expect(await readdir(root)).not.toContain('empty');
  });

  it('serve a sound cached copy without the store, and mend a damaged one', async () => {
    const { digest, store, cache } = await stored();
    const path = await materialiseBundle(digest, store, cache);
    const noStore = new FolderArtifactStore(join(cache, 'nothing-here'));
    expect(await materialiseBundle(digest, noStore, cache)).toBe(path);
    await writeFile(join(path, ORIGIN), 'harm');
    expect(await codeOf(materialiseBundle(digest, noStore, cache))).toBe('ARTIFACT_NOT_FOUND');
    await materialiseBundle(digest, store, cache);
    await writeFile(join(path, 'planted.txt'), 'harm');
    await materialiseBundle(digest, store, cache);
    expect((await openBundle(path)).digest).toBe(digest);
  });

  it('let many callers fetch the same bundle at once', async () => {
    const { digest, store, cache } = await stored();
    const paths = await Promise.all(Array.from({ length: 6 }, () => materialiseBundle(digest, store, cache)));
    expect(new Set(paths).size).toBe(1);
    expect(await readdir(cache)).toEqual([digestHex(digest)]);
  });

  it('go on where a transfer broke off', async () => {
    const { digest, store, cache } = await stored();
    const breaking = new BreakingStore(store, [200_000, 0, 100_000]);
    const path = await materialiseBundle(digest, breaking, cache, fast);
    expect(breaking.offsets).toEqual([0, 200_000, 200_000, 300_000]);
    expect((await openBundle(path)).digest).toBe(digest);
  });

  it('give up after so many tries without a byte, and leave nothing half fetched', async () => {
    const { digest, store, cache } = await stored();
    const breaking = new BreakingStore(store, [200_000, 0, 0, 0, 0, 0]);
    expect(await codeOf(materialiseBundle(digest, breaking, cache, { ...fast, attempts: 3 }))).toBe(
      'UPSTREAM_UNAVAILABLE',
    );
    expect(breaking.offsets).toEqual([0, 200_000, 200_000]);
    expect(await readdir(cache)).toEqual([]);
  });

  it('do not ask again after a fault that stays', async () => {
    const { digest, store, cache } = await stored();
    const fault = () => new ThalamusError('ARTIFACT_CORRUPT', 'not what it claims');
    const breaking = new BreakingStore(store, [200_000], fault);
    expect(await codeOf(materialiseBundle(digest, breaking, cache, fast))).toBe('ARTIFACT_CORRUPT');
    expect(breaking.offsets).toEqual([0]);
  });

  it('refuse other bytes that come after a break, of another digest, or in another number', async () => {
    const { digest, store, cache } = await stored();
    const lying = (answer: (offset: number) => Uint8Array): ArtifactStore => ({
      put: (...args) => store.put(...args),
      stat: (wanted) => store.stat(wanted),
      get: (wanted, options = {}) =>
        wanted === originDigest ? once(answer(options.offsetBytes ?? 0)) : store.get(wanted, options),
    });
    expect(
      await codeOf(
        materialiseBundle(
          digest,
          lying(() => new Uint8Array(700_000)),
          cache,
        ),
      ),
    ).toBe('ARTIFACT_CORRUPT');
    expect(
      await codeOf(
        materialiseBundle(
          digest,
          lying(() => new Uint8Array(700_001)),
          cache,
        ),
      ),
    ).toBe('BUNDLE_INVALID');
    expect(
      await codeOf(
        materialiseBundle(
          digest,
          lying(() => new Uint8Array(699_999)),
          cache,
        ),
      ),
    ).toBe('BUNDLE_INVALID');
    expect(await readdir(cache)).toEqual([]);
  });

  it('sweep away what a crashed process left an hour ago, and nothing younger', async () => {
    const { digest, store, cache } = await stored();
    for (const name of ['old.fetching-1', 'young.fetching-2', 'kept'])
      await mkdir(join(cache, name), { recursive: true });
    const past = new Date(Date.now() - 2 * 3_600_000);
    for (const name of ['old.fetching-1', 'kept']) await utimes(join(cache, name), past, past);
    await materialiseBundle(digest, store, cache);
    expect((await readdir(cache)).sort()).toEqual([digestHex(digest), 'kept', 'young.fetching-2'].sort());
  });
});

describe('readArtifact', () => {
  it('gives all bytes, up to a limit', async () => {
    const { store } = await stored();
    expect((await readArtifact(store, originDigest, 700_000)).byteLength).toBe(700_000);
    expect(await codeOf(readArtifact(store, originDigest, 699_999))).toBe('BUNDLE_INVALID');
    const other: ArtifactStore = {
      put: (...args) => store.put(...args),
      stat: (digest) => store.stat(digest),
      get: () => once(new Uint8Array(3)),
    };
    expect(await codeOf(readArtifact(other, originDigest, 10))).toBe('ARTIFACT_CORRUPT');
  });
});

async function* once(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield await Promise.resolve(bytes);
}
