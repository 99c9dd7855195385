import { openBundle, parseCompositionReport } from '@thalamus/bundle';
import { OrtRuntime } from '@thalamus/inference';
import { afterAll, beforeAll, expect, describe, it, vi } from 'vitest';
import { makeComposition, probeQuality, type TaskParent } from '../src/index.js';
import { PicoParts, textsOf, WORDS } from './pico-parts.js';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

let parts: PicoParts;
let parents: readonly TaskParent[];
const runtime = new OrtRuntime();
beforeAll(async () => {
  parts = await PicoParts.make();
  parents = await Promise.all(
    ['cards', 'law'].map(async (name, at) => {
      const parent = await parts.parent(name, 3 + at);
      const texts = textsOf(WORDS[name]!, 20, 70 + at);
      return { ...parent, test: [await parts.rows(`${name}.odd.csv`, texts, ['Erste', 'Zweite'])] };
    }),
  );
});
afterAll(async () => {
  await runtime.close();
  await parts.remove();
});

describe('parents whose judging rows have labels that none of them gives', () => {
  it('are composed without a normalised score, which has nothing to stand on', async () => {
    const { metrics } = await makeComposition(parts.task(parents), runtime, () => undefined);
    expect(metrics).toMatchObject({ accuracy: 0, 'parent_accuracy/law': 0 });
    expect(metrics).not.toHaveProperty('normalized');
    const bundle = await openBundle(parts.at('made'));
    expect(parseCompositionReport(await bundle.readFile('composition.json')).normalized).toBeNull();
  });

  it('are not estimated, and the reason is not that there was no time', async () => {
    const told: unknown[] = [];
    const probe = probeQuality({ ...parts.task(parents), rows: 10 }, runtime, (estimate) =>
      told.push(estimate),
    );
    await expect(probe).rejects.toMatchObject({ code: 'DATASET_INVALID' });
    await expect(probe).rejects.toThrow(/^No parent is right on any of the rows.*see that their labels/);
    expect(told).toEqual([]);
  });
});
