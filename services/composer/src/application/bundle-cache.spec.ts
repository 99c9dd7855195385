import { FolderArtifactStore, importBundle, openBundle } from '@thalamus/bundle';
import { writePicoBase } from '@thalamus/testing';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BundleCache } from './bundle-cache.js';

const DAY = 86_400_000;
let folder: string;
let store: FolderArtifactStore;
const digests: string[] = [];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'thalamus-cache-'));
  store = new FolderArtifactStore(join(folder, 'artifacts'));
  for (const name of ['asked', 'forgotten']) {
    const { digest } = await writePicoBase(join(folder, name), { name });
    await importBundle(join(folder, name), store);
    digests.push(digest);
  }
});
afterAll(() => rm(folder, { recursive: true }));

describe('BundleCache', () => {
  it('keeps what was opened within a week, removes the rest of its bundles and nothing else, and fetches again', async () => {
    let now = Date.now();
    const cached = join(folder, 'cache');
    const cache = new BundleCache(store, cached, () => now);
    await cache.prune();
    const [asked = '', forgotten = ''] = digests;
    for (const digest of digests) expect((await openBundle(await cache.open(digest))).digest).toBe(digest);
    await mkdir(join(cached, 'other'));
    now += 6 * DAY;
    await cache.open(asked);
    now += 6 * DAY;
    await cache.prune();
    expect((await readdir(cached)).sort()).toEqual([asked.slice('sha256:'.length), 'other'].sort());
    now += 30 * DAY;
    await cache.prune();
    expect(await readdir(cached)).toEqual(['other']);
    expect((await openBundle(await cache.open(forgotten))).digest).toBe(forgotten);
  });
});
