import { openRouterBundle, writeRouterBundle, type Digest, type ExpertManifest } from '@thalamus/bundle';
import { createRandom, tensor } from '@thalamus/tensor';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TrainingBase } from '../training-base.port.js';
import { choiceReport } from './choice-report.js';
import { evaluateRouter } from './evaluate-router.js';
import { NEAREST, RIDGE } from './learners.js';
import { openedRouter, type OpenedRouter } from './opened-router.js';
import { routerBundle } from './router-bundle.js';
import type { RoutingRow, RoutingTable } from './routing-table.js';
import { splitParts } from './table-split.js';
import { riskRows as makeRiskRows } from './risk-rows.js';
import { trainRouter, type TrainedRouter } from './train-router.js';

const WORDS = [
  'sum',
  'integral',
  'prove',
  'matrix',
  'poem',
  'rhyme',
  'verse',
  'sonnet',
  'the',
  'of',
  'please',
  'now',
];
const digest: Digest = `sha256:${'a'.repeat(64)}`;

/** A base whose word pieces are whole words; its graph sees the sum of their vectors. */
function fakeBase(): TrainingBase {
  const random = createRandom(9);
  const width = 8;
  const table = Float32Array.from({ length: (WORDS.length + 1) * width }, () => random.normal());
  const idsOf = (text: string) => text.split(' ').map((word) => 1 + WORDS.indexOf(word));
  return {
    manifest: { name: 'fake-base', maxTokens: 16, licence: 'Apache-2.0' } as ExpertManifest,
    digest,
    read: {
      config: { hiddenSize: width, layers: 1, heads: 1, maxPositions: 16, layerNormEpsilon: 1e-12 },
      weights: new Map([
        ['embeddings.word_embeddings.weight', tensor('float32', [WORDS.length + 1, width], table)],
      ]),
    },
    tokenizerJson: new TextEncoder().encode('{}'),
    tokens: {
      encode: (texts) => Promise.resolve(texts.map((text) => ({ ids: idsOf(text), truncated: false }))),
    },
    encoder: {
      encode: (texts) => {
        const embeddings = new Float32Array(texts.length * width);
        texts.forEach((text, row) => {
          for (const id of idsOf(text))
            for (let at = 0; at < width; at++) embeddings[row * width + at]! += table[id * width + at]!;
        });
        return Promise.resolve({ embeddings, width });
      },
    },
    runtime: { load: () => Promise.reject(new Error('no graph')) },
    threads: 1,
  };
}

/** Two models: one right at mathematics, one at poems, nine times of ten. */
function madeTable(set = 'made', seed = 1): RoutingTable {
  const random = createRandom(seed);
  const rows = Array.from({ length: 400 }, (_, at): RoutingRow => {
    const isMath = random.next() < 0.5;
    const own = () => WORDS[(isMath ? 0 : 4) + random.below(4)]!;
    const right = () => (random.next() < 0.9 ? 0 : 1);
    const wrong = () => (random.next() < 0.3 ? 0 : 1);
    return {
      id: `r${at}`,
      task: isMath ? 'math' : 'poem',
      prompt: `please ${own()} the ${own()} of ${own()} ${'now '.repeat(random.below(4))}${WORDS[8 + random.below(4)]!}`,
      losses: Float64Array.of(isMath ? right() : wrong(), isMath ? wrong() : right()),
    };
  });
  return {
    digest: `sha256:${(seed % 10).toString().repeat(64)}`,
    set,
    licence: 'CC0-1.0',
    origin: 'made here',
    unit: 'error',
    models: [
      { name: 'Math-1.5', expert: 'math-1-5', price: 1 },
      { name: 'poet', expert: 'poet', price: 0.2 },
    ],
    rows,
    skipped: 0,
    notes: [],
  };
}

const base = fakeBase();
const table = madeTable();
const train = (own: RoutingTable, encoder: 'fast' | 'accurate' = 'fast', seed = 1) =>
  trainRouter({
    table: own,
    base,
    encoder,
    seed,
    validation: 0.1,
    test: 0.2,
    learners: [RIDGE, NEAREST],
    tables: { tokenWidth: 6, gramRows: 64, gramWidth: 8 },
  });
const folder = mkdtempSync(join(tmpdir(), 'thalamus-router-'));
const FACTS = { name: 'made-router', version: '1', task: 'text-generation', date: '2026-01-31' } as const;

async function written(trained: TrainedRouter, name: string): Promise<OpenedRouter> {
  const { manifest, files } = routerBundle(trained, table, base, FACTS);
  await writeRouterBundle(join(folder, name), manifest, files);
  return openedRouter(await openRouterBundle(join(folder, name)));
}

let trained: TrainedRouter;
let router: OpenedRouter;
beforeAll(async () => {
  trained = await train(table);
  router = await written(trained, 'fast');
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe('trainRouter', () => {
  it('learns which model is good at what', async () => {
    const judged = await evaluateRouter({ router, base, table, split: 'test' });
    expect(judged.n).toBe(trained.counts.test);
    expect(judged.fitted).toBe(false);
    expect(judged.quality).toBeGreaterThan(judged.bestSingle + 0.15);
    expect(judged.quality).toBeLessThanOrEqual(judged.oracle);
    expect(judged.oracle - judged.quality).toBeCloseTo(judged.regret);
    expect(Object.keys(judged.baselines)).toEqual([
      'random',
      'majority',
      'bestSingle',
      'labelThenBest',
      'knn',
      'tfidfKnn',
      'oracle',
    ]);
    expect(judged.strongWeak!['router']!.apgr).toBeGreaterThan(0.6);
    expect(judged.intervals['quality']![0]).toBeLessThan(judged.quality);
    expect(judged.intervals['quality']![1]).toBeGreaterThan(judged.quality);
  });

  it('is the same for a seed, to the byte', async () => {
    const again = routerBundle(await train(table), table, base, FACTS);
    expect(again).toEqual(routerBundle(trained, table, base, FACTS));
    expect((await train(table, 'fast', 2)).split.seed).toBe(2);
  });

  it('does not read what the test rows lost', async () => {
    const parts = splitParts(table.rows, trained.split);
    const other = {
      ...table,
      rows: table.rows.map((row, at) =>
        parts[at] === 'test' ? { ...row, losses: Float64Array.of(1, 0) } : row,
      ),
    };
    expect(routerBundle(await train(other), other, base, FACTS)).toEqual(
      routerBundle(trained, table, base, FACTS),
    );
  });

  it('takes rows with gaps, and refuses a model without any result', async () => {
    const gaps = {
      ...table,
      rows: table.rows.map((row, at) =>
        at % 3 === 0 ? { ...row, losses: Float64Array.of(row.losses[0]!, NaN) } : row,
      ),
    };
    const own = await train(gaps);
    const judged = await evaluateRouter({ router: await written(own, 'gaps'), base, table, split: 'test' });
    expect(judged.quality).toBeGreaterThan(judged.bestSingle + 0.1);
    const none = {
      ...table,
      rows: table.rows.map((row) => ({ ...row, losses: Float64Array.of(row.losses[0]!, NaN) })),
    };
    await expect(train(none)).rejects.toThrow(/no result of the model "poet"/);
  });

  it('reports every setting that was tried, and why one was taken', () => {
    const report = choiceReport(trained);
    expect(report.tried).toHaveLength(RIDGE.settings.length + NEAREST.settings.length + 1);
    expect(report.why).toContain(report.chosen);
    const least = Math.min(...report.tried.map(({ costRegret }) => costRegret));
    const chosen = report.tried.find(({ learner, setting }) => report.chosen === `${learner} (${setting})`)!;
    expect(chosen.costRegret - least).toBeLessThanOrEqual(chosen.behindError + 1e-6);
    expect(report.tried.filter(({ behind }) => behind < -1e-9)).toEqual([]);
  });

  it('of the accurate encoder reads the graph as well', async () => {
    const accurate = await written(await train(table, 'accurate'), 'accurate');
    expect(accurate.spec.blocks.map(({ kind }) => kind)).toEqual(['sentence', 'tokens', 'grams', 'prompt']);
    const judged = await evaluateRouter({ router: accurate, base, table, split: 'test' });
    expect(judged.quality).toBeGreaterThan(judged.bestSingle + 0.15);
  });
});

describe('the bundle', () => {
  it('keeps calibration and regions, as decisions read them', async () => {
    const { calibration, centroids } = trained.calibration;
    expect(router.manifest.regionCount).toBe(3);
    expect(router.centroids).toEqual(centroids);
    expect(router.manifest.calibration.intervals.map(({ lower, upper }) => ({ lower, upper }))).toEqual(
      calibration.intervals.map(({ lower, upper }) => ({ lower, upper })),
    );
    const { lossIntervals, calibration: judged } = await evaluateRouter({
      router,
      base,
      table,
      split: 'test',
    });
    expect(judged.recalibration).toBe(trained.calibration.recalibration.chosen.kind);
    expect(judged.after.reliability.reduce((sum, bin) => sum + bin.n, 0)).toBe(judged.n);
    expect(judged.n).toBe(2 * trained.counts.test);
    expect(lossIntervals.promised).toBe(0.9);
    expect(lossIntervals.regions.reduce((sum, region) => sum + region.n, 0)).toBe(judged.n);
    expect(lossIntervals.coverage).toBeGreaterThan(0.8);
    const report = choiceReport(trained).calibration;
    expect(report.tried.map(({ way }) => way)[0]).toBe('none');
    expect(report.intervals.map(({ expert }) => expert)).toEqual(['math-1-5', 'poet']);
  });

  it('keeps rows for bounds on the risk, none of them of the test part, bounded in number', () => {
    const { riskRows } = router;
    expect(riskRows?.measured).toHaveLength(2 * (trained.counts.train + trained.counts.validation));
    expect(riskRows?.bound).toBe(1);
    expect(router.manifest.risk).toEqual({
      file: 'risk.safetensors',
      rows: trained.counts.train + trained.counts.validation,
      bound: 1,
    });
    const many = new Float64Array(3 * 5000).map((_, at) => at);
    const kept = makeRiskRows({ predicted: many, measured: many, candidates: 3, unit: 'nats', seed: 1 });
    expect(kept.measured).toHaveLength(3 * 2000);
    expect(kept.bound).toBe(many.length - 1);
    expect(kept.measured).toEqual(kept.predicted);
    expect(kept.measured[1]! - kept.measured[0]!).toBe(1);
    expect([...kept.measured]).not.toEqual([...kept.measured].sort((a, b) => a - b));
  });

  it('applies a recalibration that it keeps, before choices are made and judged', async () => {
    const maps = trained.experts.map((_, k) => ({
      kind: 'isotonic' as const,
      inputs: [0, 1],
      values: k === 0 ? [0.9, 1] : [0, 0.1],
    }));
    const turned = {
      ...trained,
      calibration: {
        ...trained.calibration,
        calibration: { ...trained.calibration.calibration, recalibration: maps },
      },
    };
    const judged = await evaluateRouter({
      router: await written(turned, 'turned'),
      base,
      table,
      split: 'test',
    });
    const plain = await evaluateRouter({ router, base, table, split: 'test' });
    expect(judged.calibration.recalibration).toBe('isotonic');
    expect(judged.calibration.before).toEqual(plain.calibration.before);
    expect(judged.calibration.after.ece).toBeGreaterThan(judged.calibration.before.ece + 0.2);
    expect(judged.quality).toBeLessThan(plain.quality);
  });

  it('names models, prices, split and table', () => {
    const { manifest } = router;
    expect(manifest.candidates[0]).toMatchObject({
      expert: 'math-1-5',
      model: 'Math-1.5',
      version: '0',
      properties: { cost: 1 },
    });
    expect(manifest.candidates[0]!.fittedOn).toEqual({
      lossTable: table.digest,
      rows: trained.counts.train + trained.counts.validation,
    });
    expect(manifest.split).toEqual({
      by: 'prompt',
      seed: 1,
      validation: 0.1,
      test: 0.2,
      fitted: ['train', 'validation'],
    });
    expect(manifest.costScales['cost']!.max).toBe(1);
  });

  it('is judged on another table over the same models in another order', async () => {
    const other = madeTable('other', 2);
    const turned = {
      ...other,
      models: other.models.toReversed(),
      rows: other.rows.map((row) => ({ ...row, losses: row.losses.toReversed() })),
    };
    const judged = await evaluateRouter({ router, base, table: turned, split: 'all' });
    expect(judged.n).toBe(400);
    expect(judged.quality).toBe((await evaluateRouter({ router, base, table: other, split: 'all' })).quality);
    expect(judged.quality).toBeGreaterThan(judged.bestSingle + 0.15);
    expect(Object.keys(judged.baselines)).toEqual(['random', 'majority', 'bestSingle', 'oracle']);
    expect(judged.notes.join()).toMatch(/fitted on another table/);
  });

  it('says so when it is judged on rows that it was fitted on', async () => {
    const judged = await evaluateRouter({ router, base, table, split: 'all' });
    expect(judged.fitted).toBe(true);
    expect(judged.n).toBe(400);
  });

  it('refuses a table over other models, in another unit, and another base', async () => {
    const models = [...table.models.slice(0, 1), { name: 'Else', expert: 'else' }];
    await expect(evaluateRouter({ router, base, table: { ...table, models }, split: 'all' })).rejects.toThrow(
      /no head for Else; the table has no results of poet/,
    );
    await expect(
      evaluateRouter({ router, base, table: { ...table, unit: 'nats' }, split: 'all' }),
    ).rejects.toThrow(/losses in "nats"/);
    const otherBase: TrainingBase = { ...base, digest: `sha256:${'b'.repeat(64)}` };
    await expect(evaluateRouter({ router, base: otherBase, table, split: 'all' })).rejects.toMatchObject({
      code: 'BUNDLE_INVALID',
    });
  });

  it('raises no mean cost with the weight of the cost', async () => {
    const { pareto } = await evaluateRouter({ router, base, table, split: 'test' });
    pareto.slice(1).forEach((point, at) => {
      expect(point.meanCost!).toBeLessThanOrEqual(pareto[at]!.meanCost! + 1e-12);
    });
    expect(pareto.at(-1)!.meanCost).toBeCloseTo(0.2);
  });
});
