import { create } from '@bufbuild/protobuf';
import { FolderArtifactStore, type ArtifactStore } from '@thalamus/bundle';
import { registryV1 } from '@thalamus/contracts';
import { writePicoBase } from '@thalamus/testing';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CompositionPlan } from './plan-composition.js';
import { RegisterComposition } from './register-composition.js';
import type { Registry } from './registry.port.js';

let folder: string;
let digest: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'thalamus-register-'));
  ({ digest } = await writePicoBase(join(folder, 'bundle'), { name: 'pico' }));
});
afterAll(() => rm(folder, { recursive: true }));

/** A registry of one parent, which notes what is written. */
class NotedRegistry implements Registry {
  readonly written: string[] = [];
  hasParent = true;

  version(expert: string, version: string) {
    const value = create(registryV1.ExpertVersionSchema, { expert, version, manifestDigest: digest });
    return Promise.resolve(this.hasParent ? value : undefined);
  }
  registerVersion() {
    this.written.push('version');
    return Promise.resolve();
  }
  registerComposition() {
    this.written.push('composition');
    return Promise.resolve();
  }
  expert = () => Promise.resolve(undefined);
  versions = () => Promise.resolve([]);
  dataset = () => Promise.resolve(undefined);
  composition = () => Promise.resolve(undefined);
}

/** Registers a bundle; `onStored` is called after every file that was stored. */
function registering(registry: NotedRegistry, onStored: () => void) {
  const store = new FolderArtifactStore(join(folder, 'artifacts'));
  const told: ArtifactStore = {
    get: store.get.bind(store),
    stat: store.stat.bind(store),
    put: async (source, options) => {
      const stored = await store.put(source, options);
      onStored();
      return stored;
    },
  };
  const plan = {
    recipe: { document: { method: 'twin' } },
    digest,
    expert: 'both',
    parents: [{ name: 'leaver', version: '1', digest }],
  } as unknown as CompositionPlan;
  const registration = {
    plan,
    version: '1',
    folder: join(folder, 'bundle'),
    made: { digest: plan.digest, metrics: {} },
    timeToLiveS: 0,
  };
  return new RegisterComposition(registry, told, Date.now).run(registration, new AbortController().signal);
}

describe('what was composed', () => {
  it('is registered, the version before the composition', async () => {
    const registry = new NotedRegistry();
    expect(await registering(registry, () => undefined)).toMatchObject({ expert: 'both', existed: false });
    expect(registry.written).toEqual(['version', 'composition']);
  });

  it('is not when a parent is removed while its bundle is stored', async () => {
    const registry = new NotedRegistry();
    const work = registering(registry, () => (registry.hasParent = false));
    await expect(work).rejects.toMatchObject({ code: 'EXPERT_NOT_FOUND' });
    await expect(work).rejects.toThrow('leaver@1 was removed while it was composed; nothing was registered');
    expect(registry.written).toEqual([]);
  });
});
