import {
  openRouterBundle,
  readSafetensors,
  writeRouterBundle,
  type Digest,
  type ExpertManifest,
} from '@thalamus/bundle';
import { createRandom, tensor } from '@thalamus/tensor';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TrainingBase } from '../training-base.port.js';
import { evaluateRouter } from './evaluate-router.js';
import { extendRouter, type RouterExtension } from './extend-router.js';
import { LEARNERS } from './learners.js';
import { firstPredictions, openedRouter, predictedBy } from './opened-router.js';
import { routerBundle } from './router-bundle.js';
import type { RoutingRow, RoutingTable } from './routing-table.js';
import { trainRouter } from './train-router.js';

const WORDS = 'sum integral prove matrix poem rhyme verse sonnet the of please now'.split(' ');
const digest: Digest = `sha256:${'a'.repeat(64)}`;
const WIDTH = 8;

/** A base whose word pieces are whole words, and which has no graph. */
function wordBase(): TrainingBase {
  const random = createRandom(9);
  const table = Float32Array.from({ length: (WORDS.length + 1) * WIDTH }, () => random.normal());
  return {
    manifest: { name: 'words', maxTokens: 16, licence: 'Apache-2.0' } as ExpertManifest,
    digest,
    read: {
      config: { hiddenSize: WIDTH, layers: 1, heads: 1, maxPositions: 16, layerNormEpsilon: 1e-12 },
      weights: new Map([
        ['embeddings.word_embeddings.weight', tensor('float32', [WORDS.length + 1, WIDTH], table)],
      ]),
    },
    tokenizerJson: new TextEncoder().encode('{}'),
    tokens: {
      encode: (texts) =>
        Promise.resolve(
          texts.map((text) => ({
            ids: text.split(' ').map((word) => 1 + WORDS.indexOf(word)),
            truncated: false,
          })),
        ),
    },
    encoder: { encode: () => Promise.reject(new Error('no graph')) },
    runtime: { load: () => Promise.reject(new Error('no graph')) },
    threads: 1,
  };
}

/** Three models: one for mathematics, one for poems, and one that is right at both where the prompt says please. */
function table(count = 500): RoutingTable {
  const random = createRandom(3);
  const rows = Array.from({ length: count }, (_, at): RoutingRow => {
    const isMath = random.next() < 0.5;
    const own = () => WORDS[(isMath ? 0 : 4) + random.below(4)]!;
    const isPlease = random.next() < 0.5;
    const error = (right: number) => (random.next() < right ? 0 : 1);
    return {
      id: `r${at}`,
      task: '',
      prompt: `${isPlease ? 'please please' : 'now'} ${own()} the ${own()} of ${own()} ${'the '.repeat(at % 7)}of`,
      losses: Float64Array.of(
        error(isMath ? 0.6 : 0.2),
        error(isMath ? 0.2 : 0.6),
        error(isPlease ? 0.98 : 0.05),
      ),
    };
  });
  return {
    digest,
    set: 'made',
    licence: 'CC0-1.0',
    origin: 'made here',
    unit: 'error',
    models: ['math', 'poet', 'Both/Kind.1'].map((name, k) => ({
      name,
      expert: ['math', 'poet', 'kind-1'][k]!,
      price: k,
    })),
    rows,
    skipped: 0,
    notes: [],
  };
}

/** The table without its last model. */
const oldTable = (): RoutingTable => {
  const all = table();
  const rows = all.rows.map((row) => ({ ...row, losses: row.losses.slice(0, 2) }));
  return { ...all, models: all.models.slice(0, 2), rows };
};

describe('a router model that is given one expert more', () => {
  const base = wordBase();
  let folder = '';
  const at = (name: string) => join(folder, name);
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'extend-'));
    for (const learner of LEARNERS) {
      const trained = await trainRouter({
        table: oldTable(),
        base,
        encoder: 'fast',
        seed: 2,
        validation: 0.1,
        test: 0.2,
        tables: { tokenWidth: 8, gramRows: 64, gramWidth: 8 },
        learners: [learner],
      });
      const facts = { name: 'old', version: '3', task: 'text-generation', date: '2026-01-01' } as const;
      const { manifest, files } = routerBundle(trained, oldTable(), base, facts);
      await writeRouterBundle(at(learner.name), manifest, files);
    }
  }, 120_000);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const extend = async (router: string, more: Partial<RouterExtension> = {}) =>
    extendRouter({
      bundle: await openRouterBundle(at(router)),
      base,
      table: table(),
      expert: 'kind-1',
      seed: 1,
      name: 'new',
      version: '4',
      date: '2026-02-01',
      ...more,
    });

  it.each(LEARNERS.map(({ name }) => name))(
    'keeps all else to the bit, and chooses better (%s)',
    async (kind) => {
      const { manifest, files, rows, setAside } = await extend(kind);
      await writeRouterBundle(at(`${kind}-new`), manifest, files);
      const [before, after] = [await openRouterBundle(at(kind)), await openRouterBundle(at(`${kind}-new`))];
      expect(after.manifest).toMatchObject({
        name: 'new',
        version: '4',
        encoder: before.manifest.encoder,
        split: before.manifest.split,
      });
      expect(after.manifest.candidates.slice(0, 2)).toEqual(before.manifest.candidates);
      expect(after.manifest.candidates[2]).toMatchObject({
        expert: 'kind-1',
        model: 'Both/Kind.1',
        properties: { cost: 2 },
        fittedOn: { rows },
      });
      expect(after.manifest.calibration.intervals.slice(0, 2)).toEqual(before.manifest.calibration.intervals);
      expect(rows + setAside).toBe(500);
      expect(setAside).toBeGreaterThan(60);
      for (const { path } of before.manifest.files.filter(
        ({ path: file }) => file !== before.manifest.heads.file && file !== before.manifest.risk?.file,
      ))
        expect(await after.readFile(path)).toEqual(await before.readFile(path));
      // Rows for bounds on the risk have no results of the new expert.
      expect(before.manifest.risk).toBeDefined();
      expect(after.manifest.risk).toBeUndefined();
      const [old, own] = [await openedRouter(before), await openedRouter(after)];
      const vectors = Float32Array.from({ length: 20 * old.heads.dimension }, (_, place) => Math.sin(place));
      const predict = (item: typeof old) =>
        predictedBy(item, firstPredictions(item, vectors), new Float32Array());
      const [one, other] = [predict(old), predict(own)];
      for (let row = 0; row < 20; row++)
        expect(other.calibrated.slice(3 * row, 3 * row + 2)).toEqual(
          one.calibrated.slice(2 * row, 2 * row + 2),
        );
      expect(other.regions).toEqual(one.regions);
      const stored = async (bundle: typeof before) =>
        readSafetensors(await bundle.readFile(bundle.manifest.heads.file)).tensors;
      const kept = [...(await stored(before))].filter(
        ([name]) => !/(weight|bias|values)$/.test(name) || /gate|hidden/.test(name),
      );
      const now = await stored(after);
      for (const [name, value] of kept) expect(now.get(name)).toEqual(value);

      const judged = await evaluateRouter({ router: own, base, table: table(), split: 'test' });
      const alone = await evaluateRouter({ router: old, base, table: oldTable(), split: 'test' });
      // A hidden layer that stays has learned what the old models needed, and nothing of the new one.
      expect(judged.quality).toBeGreaterThan(alone.quality + (kind === 'mlp' ? 0 : 0.05));
    },
  );

  it('is fitted on as many prompts as asked for, the same for a seed', async () => {
    const few = await extend('ridge', { prompts: 60 });
    expect(few.rows).toBe(60);
    expect((await extend('ridge', { prompts: 60 })).files).toEqual(few.files);
    expect((await extend('ridge', { prompts: 60, seed: 2 })).files).not.toEqual(few.files);
  });

  it('is refused where nothing can be fitted, or losses do not compare', async () => {
    await expect(extend('ridge', { expert: 'nobody' })).rejects.toThrow(
      /no results of nobody; it has those of math, poet, kind-1/,
    );
    await expect(extend('ridge', { expert: 'math' })).rejects.toThrow(/old@3 has a head for math already/);
    await expect(extend('ridge', { table: { ...table(), unit: 'nats' } })).rejects.toThrow(
      /"nats" where old predicts "error"/,
    );
    await expect(extend('ridge', { table: table(40) })).rejects.toThrow(
      /prompts to fit a head for Both\/Kind\.1 on.*50 are needed/,
    );
    const other = { ...base, digest: `sha256:${'b'.repeat(64)}` } as const;
    await expect(extend('ridge', { base: other })).rejects.toThrow(/reads the encoder/);
  });
});
