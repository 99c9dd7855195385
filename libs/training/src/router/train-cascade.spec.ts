import { openRouterBundle, writeRouterBundle, type Digest, type ExpertManifest } from '@thalamus/bundle';
import { createRandom, tensor } from '@thalamus/tensor';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TrainingBase } from '../training-base.port.js';
import { choiceReport } from './choice-report.js';
import { evaluateRouter } from './evaluate-router.js';
import { extendRouter } from './extend-router.js';
import { RIDGE } from './learners.js';
import { firstPredictions, openedRouter, type OpenedRouter } from './opened-router.js';
import type { RouterEncoder } from './prepare-prompts.js';
import { routerBundle } from './router-bundle.js';
import type { RoutingRow, RoutingTable } from './routing-table.js';
import { splitParts } from './table-split.js';
import { trainRouter, type TrainedRouter } from './train-router.js';

const FILLERS = ['the', 'of', 'please', 'now', 'then', 'here'];
const WORDS = ['prove', 'rhyme', 'north', 'south', 'east', 'west', ...FILLERS];
const digest: Digest = `sha256:${'a'.repeat(64)}`;
const WIDTH = 8;

/** Right of prompts that say so themselves, and of those where it takes two words together: north with east, south with west. */
const isFirst = (prompt: string) =>
  prompt.includes('prove') ||
  (!prompt.includes('rhyme') && prompt.includes('north') === prompt.includes('east'));

/** A base whose graph alone sees words together; its static vectors know each word for itself. */
function fakeBase(): TrainingBase {
  const random = createRandom(9);
  const table = Float32Array.from({ length: (WORDS.length + 1) * WIDTH }, () => random.normal());
  const idsOf = (text: string) => text.split(' ').map((word) => 1 + WORDS.indexOf(word));
  return {
    manifest: { name: 'fake-base', maxTokens: 16, licence: 'Apache-2.0' } as ExpertManifest,
    digest,
    read: {
      config: { hiddenSize: WIDTH, layers: 1, heads: 1, maxPositions: 16, layerNormEpsilon: 1e-12 },
      weights: new Map([
        ['embeddings.word_embeddings.weight', tensor('float32', [WORDS.length + 1, WIDTH], table)],
      ]),
    },
    tokenizerJson: new TextEncoder().encode('{}'),
    tokens: {
      encode: (texts) => Promise.resolve(texts.map((text) => ({ ids: idsOf(text), truncated: false }))),
    },
    encoder: {
      encode: (texts) => {
        const embeddings = new Float32Array(texts.length * WIDTH);
        texts.forEach((text, row) => {
          embeddings[row * WIDTH] = isFirst(text) ? 1 : -1;
        });
        return Promise.resolve({ embeddings, width: WIDTH });
      },
    },
    runtime: { load: () => Promise.reject(new Error('no graph')) },
    threads: 1,
  };
}

/** Two models, each right nine times of ten where it is good. `hard`: share of prompts that only the graph tells apart. */
function madeTable(hard: number, seed = 1): RoutingTable {
  const random = createRandom(seed);
  const one = (...words: string[]) => words[random.below(words.length)]!;
  const rows = Array.from({ length: 500 }, (_, at): RoutingRow => {
    const filler = () => one(...FILLERS);
    const topic =
      random.next() < hard
        ? `${one('north', 'south')} ${filler()} ${one('east', 'west')}`
        : `${one('prove', 'rhyme')} ${filler()}`;
    const prompt = `${filler()} ${filler()} ${topic} ${filler()} ${filler()}`;
    const right = () => (random.next() < 0.9 ? 0 : 1);
    const wrong = () => (random.next() < 0.2 ? 0 : 1);
    const losses = isFirst(prompt) ? [right(), wrong()] : [wrong(), right()];
    return { id: `r${at}`, task: '', prompt, losses: Float64Array.from(losses) };
  });
  return {
    digest: `sha256:${(seed % 10).toString().repeat(64)}`,
    set: 'made',
    licence: 'CC0-1.0',
    origin: 'made here',
    unit: 'error',
    models: [
      { name: 'prover', expert: 'prover' },
      { name: 'poet', expert: 'poet' },
    ],
    rows,
    skipped: 0,
    notes: [],
  };
}

const base = fakeBase();
const table = madeTable(0.4);
const train = (own: RoutingTable, encoder: RouterEncoder) =>
  trainRouter({
    table: own,
    base,
    encoder,
    seed: 1,
    validation: 0.1,
    test: 0.2,
    learners: [RIDGE],
    tables: { tokenWidth: 6, gramRows: 64, gramWidth: 8 },
  });
const folder = mkdtempSync(join(tmpdir(), 'thalamus-cascade-'));
const FACTS = { name: 'made-router', version: '1', task: 'text-generation', date: '2026-01-31' } as const;

async function written(trained: TrainedRouter, name: string): Promise<OpenedRouter> {
  const { manifest, files } = routerBundle(trained, table, base, FACTS);
  await writeRouterBundle(join(folder, name), manifest, files);
  return openedRouter(await openRouterBundle(join(folder, name)));
}

let trained: TrainedRouter;
let router: OpenedRouter;
beforeAll(async () => {
  trained = await train(table, 'cascade');
  router = await written(trained, 'cascade');
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe('a cascade', () => {
  it('has the stages of the routers that it is made of, to the bit', async () => {
    const fast = await train(table, 'fast');
    const accurate = await train(table, 'accurate');
    expect(trained.heads).toEqual(fast.heads);
    expect(trained.spec).toEqual(fast.spec);
    expect(trained.second?.heads).toEqual(accurate.heads);
    expect(trained.second?.spec).toEqual(accurate.spec);
    expect(trained.calibration.centroids).toEqual(fast.calibration.centroids);
  });

  it('sends the prompts on that its first stage cannot tell apart, and loses what the accurate one loses', async () => {
    const judged = await evaluateRouter({ router, base, table, split: 'test' });
    const { fastAlone, accurateAlone } = judged.baselines;
    expect(judged.secondShare).toBeGreaterThan(0.25);
    expect(judged.secondShare).toBeLessThan(0.6);
    expect(judged.quality).toBeGreaterThan(fastAlone! + 0.1);
    expect(judged.quality).toBeGreaterThan(accurateAlone! - 0.02);
    expect(judged.intervals['qualityOver.fastAlone']![0]).toBeGreaterThan(0);
    expect(judged.lossIntervals.coverage).toBeGreaterThan(0.8);
    const alone = await evaluateRouter({
      router: await written(await train(table, 'fast'), 'fast'),
      base,
      table,
      split: 'test',
    });
    expect(fastAlone).toBeCloseTo(alone.quality, 1);
    expect(alone.secondShare).toBeUndefined();
  });

  it('says what it chose, and that it is worth it', () => {
    const { second } = choiceReport(trained);
    expect(second?.stages.threshold).toBe(trained.second?.gate.threshold);
    expect(second?.stages.firstWouldDo).toBe(false);
    expect(second?.stages.gain).toBeGreaterThan(second?.stages.gainError ?? NaN);
    expect(second?.stages.why).toMatch(/It is better than fast by 0\.\d+ \+- 0\.\d+\.$/);
    const { tried, share, always } = second!.stages;
    const best = Math.min(...tried.map(({ costRegret }) => costRegret));
    // The cheapest within one standard error: whatever sends fewer on is further behind than that.
    for (const item of tried) {
      expect(item.behind).toBeCloseTo(item.costRegret - best, 5);
      if (item.share < share) expect(item.behind).toBeGreaterThan(item.behindError - 1e-6);
    }
    expect(tried[0]).toMatchObject({ threshold: 0, share: 0 });
    expect(always.costRegret).toBeLessThan(tried[0]!.costRegret);
  });

  it('keeps in its rows for bounds on the risk what the stage predicted that decides the row', () => {
    const { gate, thresholds } = trained.second!;
    const rows = trained.counts.train + trained.counts.validation;
    expect(thresholds.isSecond.filter(Boolean)).toHaveLength(Math.round(thresholds.chosen.share * rows));
    expect(router.riskRows?.predicted).toHaveLength(2 * rows);
    expect([...router.riskRows!.predicted].sort()).toEqual(
      [...Float32Array.from(trained.calibration.outOfFold)].sort(),
    );
    expect(gate.regions).toBe(4);
    expect(router.manifest.regionCount).toBe(8);
  });

  it('does not read what the test rows lost, and is the same for a seed, to the byte', async () => {
    const parts = splitParts(table.rows, trained.split);
    const other = {
      ...table,
      rows: table.rows.map((row, at) =>
        parts[at] === 'test' ? { ...row, losses: Float64Array.of(1, 0) } : row,
      ),
    };
    expect(routerBundle(await train(other, 'cascade'), other, base, FACTS)).toEqual(
      routerBundle(trained, table, base, FACTS),
    );
  });

  it('says so when its first stage alone would do, and is written all the same', async () => {
    const easy = await train(madeTable(0), 'cascade');
    const { stages } = choiceReport(easy).second!;
    expect(stages.firstWouldDo).toBe(true);
    expect(stages.threshold).toBe(0);
    expect(stages.why).toMatch(/not better than fast .* the encoder "fast" would do\.$/);
    const opened = await written(easy, 'easy');
    expect(opened.second?.gate.threshold).toBe(0);
    const vectors = Float32Array.from({ length: 20 * opened.heads.dimension }, (_, at) => Math.sin(at));
    expect(firstPredictions(opened, vectors).open).toEqual([]);
    const judged = await evaluateRouter({ router: opened, base, table, split: 'test' });
    expect(judged.secondShare).toBe(0);
    expect(judged.quality).toBe(judged.baselines['fastAlone']);
  });

  it('is judged with its own encoder alone, and takes no further expert', async () => {
    const other: TrainingBase = { ...base, digest: `sha256:${'b'.repeat(64)}` };
    await expect(evaluateRouter({ router, base: other, table, split: 'all' })).rejects.toMatchObject({
      code: 'BUNDLE_INVALID',
    });
    const bundle = await openRouterBundle(join(folder, 'cascade'));
    const extension = {
      bundle,
      base,
      table,
      expert: 'third',
      seed: 1,
      name: 'x',
      version: '2',
      date: '2026-01-31',
    };
    await expect(extendRouter(extension)).rejects.toMatchObject({
      code: 'METHOD_UNSUPPORTED',
      message: expect.stringMatching(/cascade of two stages/) as string,
    });
  });
});
