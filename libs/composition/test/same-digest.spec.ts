import { openBundle } from '@thalamus/bundle';
import { OrtRuntime } from '@thalamus/inference';
import { cp, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { makeComposition, type TaskParent } from '../src/index.js';
import { PicoParts, type TaskWishes } from './pico-parts.js';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

let parts: PicoParts;
let parents: readonly [TaskParent, TaskParent];
const runtime = new OrtRuntime();
beforeAll(async () => {
  parts = await PicoParts.make();
  parents = [
    await parts.parent('cards', 3, { manifest: { releaseDate: '2026-03-04' } }),
    await parts.parent('law', 5, { manifest: { releaseDate: '2025-12-31' } }),
  ];
});
afterEach(() => {
  vi.useRealTimers();
});
afterAll(async () => {
  await runtime.close();
  await parts.remove();
});

let made = 0;
async function digestOf(of: readonly TaskParent[], wishes: TaskWishes = {}): Promise<string> {
  const outputFolder = parts.at(`out-${++made}`, 'bundle');
  await mkdir(parts.at(`out-${made}`));
  const { digest } = await makeComposition(
    parts.task(of, { outputFolder, ...wishes }),
    runtime,
    () => undefined,
  );
  return digest;
}

/** The same bundles and rows in another folder. */
async function elsewhere(parent: TaskParent): Promise<TaskParent> {
  const to = parts.at('elsewhere');
  const moved = async (path: string, name: string) => {
    await cp(path, join(to, name), { recursive: true });
    return join(to, name);
  };
  const rows = (files: TaskParent['train']) =>
    Promise.all(files.map(async (file) => ({ ...file, path: await moved(file.path, file.dataset) })));
  return {
    ...parent,
    folder: await moved(parent.folder, parent.name),
    train: await rows(parent.train),
    test: await rows(parent.test),
  };
}

describe('a bundle of the same recipe, parents and seed', () => {
  it.each([
    ['twin', {}],
    ['twin', { passes: 2, groups: 3 }],
    ['dare_ties', { density: 0.5, weight: 0.5 }],
  ])(
    'has one digest by %s %j: on another day, in another folder, in another order',
    async (method, parameters) => {
      const wishes = { method, parameters };
      const first = await digestOf(parents, wishes);
      vi.useFakeTimers({ toFake: ['Date'], now: new Date('2031-07-08T09:10:11Z') });
      const moved = await Promise.all(parents.map(elsewhere));
      expect(await digestOf(moved, wishes)).toBe(first);
      expect(await digestOf(moved.toReversed(), wishes)).toBe(first);
      expect(await digestOf(parents, { ...wishes, seed: 1n })).not.toBe(first);
    },
  );

  it('is as old as its newest parent, and says nothing of the machine', async () => {
    await digestOf(parents);
    const bundle = await openBundle(parts.at(`out-${made}`, 'bundle'));
    expect(bundle.manifest.releaseDate).toBe('2026-03-04');
    expect(new Set(bundle.manifest.evaluation.map(({ date }) => date))).toEqual(new Set(['2026-03-04']));
    const report = Buffer.from(await bundle.readFile('composition.json')).toString('utf8');
    for (const text of [JSON.stringify(bundle.manifest), report]) {
      expect(text).not.toContain(parts.folder);
      expect(text).not.toContain(new Date().toISOString().slice(0, 10));
    }
  });
});
