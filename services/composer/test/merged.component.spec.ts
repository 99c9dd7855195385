import { materialiseBundle, openBundle, parseDigest } from '@thalamus/bundle';
import type { composerV1 } from '@thalamus/contracts';
import { toThalamusError } from '@thalamus/errors';
import { STATIC_METHODS } from '@thalamus/model-merge';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { ComposerMesh, texts } from './composer-mesh.js';

// Processes and ONNX Runtime on a machine that may be busy: bounds against hanging, not promises.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const BANK = ['card', 'lost', 'money', 'block', 'my'];
const LAW = ['law', 'court', 'the', 'hello', 'world'];
const PARENTS = ['bank-desk', 'tuned-court', 'tuned-desk'];
const mesh = new ComposerMesh();

/** A recipe in YAML. */
const document = (
  method: string,
  parameters: Record<string, unknown> = {},
  more: Record<string, unknown> = {},
) =>
  JSON.stringify({
    merge_method: method,
    models: PARENTS.map((model) => ({ model })),
    ...(Object.keys(parameters).length > 0 ? { parameters } : {}),
    ...more,
  });

async function compose(yaml: string, more: { seed?: bigint; name?: string; dryRun?: boolean } = {}) {
  const steps: string[] = [];
  const { dryRun = false, ...recipe } = more;
  const request = { recipe: { document: yaml, ...recipe }, dryRun };
  let made: composerV1.Composition | undefined;
  for await (const { event } of mesh.composer.compose(request, { deadlineMs: 100_000 }))
    if (event.case === 'composition') made = event.value;
    else if (event.case === 'progress') steps.push(event.value.stage);
  return { steps: [...new Set(steps)], made: made! };
}

const refusal = async (yaml: string) =>
  toThalamusError(
    await compose(yaml).then(
      () => new Error('nothing was refused'),
      (fault: unknown) => fault,
    ),
  );

async function opened(digest: string) {
  return openBundle(await materialiseBundle(parseDigest(digest), mesh.store, join(mesh.folder, 'opened')));
}

beforeAll(async () => {
  await mesh.start();
  await mesh.addBase('pico', 1);
  const probe = {
    name: 'bank-desk',
    labels: ['block', 'other', 'refund'],
    seed: 11,
    texts: texts(BANK, 120),
  };
  await mesh.addParent(probe);
  await mesh.addTrained({ ...probe, name: 'tuned-desk', labels: ['urgent', 'other'] }, 4);
  const court = { name: 'tuned-court', labels: ['appeal', 'other'], seed: 12, texts: texts(LAW, 120) };
  await mesh.addTrained(court, 2);
});
afterAll(() => mesh.stop());

describe('the composer, of recipes in YAML', () => {
  it('mixes weights by text, checks them against materialised ones, and finds the composition again', async () => {
    const yaml = document('twin', { rank: 4 }, { base_model: 'pico' });
    const { made, steps } = await compose(yaml);
    expect(steps).toEqual([
      'preflight',
      'fetch',
      'merge',
      'factors',
      'router',
      'graph',
      'quality',
      'parity',
      'register',
    ]);
    expect(made.parents).toEqual(PARENTS.map((name) => `${name}@1`));
    expect(made.metrics['parity_max_abs']).toBeLessThan(1e-4);
    const { manifest } = await opened(made.manifestDigest);
    expect(manifest).toMatchObject({
      kind: 'twin',
      labels: ['block', 'other', 'refund', 'appeal', 'urgent'],
    });
    expect(JSON.parse(manifest.lineage?.recipe ?? '')).toMatchObject({ method: 'twin', seed: 0 });
    expect((await compose(yaml)).made).toEqual({ ...made, existed: true });
  });

  it('gives the same digest for the same recipe and seed, and another for another seed', async () => {
    const digest = async (seed: bigint, parents = PARENTS) => {
      const yaml = document('twin', { rank: 2 }, { models: parents.map((model) => ({ model })) });
      return (await compose(yaml, { seed, name: 'tried', dryRun: true })).made.manifestDigest;
    };
    const first = await digest(5n);
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 40 * 86_400_000 });
    try {
      expect(await digest(5n, PARENTS.toReversed())).toBe(first);
    } finally {
      vi.useRealTimers();
    }
    expect(await digest(6n)).not.toBe(first);
  });

  const free = STATIC_METHODS.filter(
    ({ needsInformation, maxParents }) => !needsInformation && maxParents > 1,
  );
  it.each(free.map(({ name }) => name))(
    'merges by %s into one set of weights for all texts',
    async (method) => {
      const needsBase = method === 'linear' ? {} : { base_model: 'pico' };
      const { made } = await compose(document(method, { weight: 0.5 }, needsBase));
      expect(made.metrics['parity_max_abs']).toBeLessThan(1e-4);
      expect(made.expert.startsWith(method.replaceAll('_', '-'))).toBe(true);
    },
  );

  it('measures information and merges by it, as a merge of its own and as the shared expert of twin', async () => {
    const settings = { information_rows: 6, information_labels: 0 };
    const { made, steps } = await compose(document('fisher', settings));
    // Opening parents counts as merging.
    expect(steps.slice(0, 5)).toEqual(['preflight', 'fetch', 'merge', 'information', 'router']);
    expect(made.metrics['parity_max_abs']).toBeLessThan(1e-4);
    const recipe = { document: document('fisher', settings) };
    const { gradients, memoryBytes } = await mesh.composer.preflight({ recipe });
    // Labels of the three parents: 3, 2 and 2.
    expect(gradients).toBe(6n * 7n);
    const average = { document: document('linear', { weight: 1 }) };
    expect(memoryBytes).toBeGreaterThan((await mesh.composer.preflight({ recipe: average })).memoryBytes);
    const twin = await compose(document('twin', { shared: 'fisher', rank: 2, information_rows: 4 }));
    expect(twin.steps).toContain('information');
    expect(twin.made.metrics['parity_max_abs']).toBeLessThan(1e-4);
  });

  it('estimates what tasks would keep where a preflight is asked to, and near what comes of it', async () => {
    const recipe = { document: document('ties', { weight: 1 }, { base_model: 'pico' }) };
    expect((await mesh.composer.preflight({ recipe })).quality).toBeUndefined();
    const { quality } = await mesh.composer.preflight(
      { recipe, estimateQuality: true },
      { deadlineMs: 100_000 },
    );
    expect(quality).toMatchObject({ absent: '', basis: 'merged' });
    const { made } = await compose(recipe.document, { dryRun: true });
    expect(quality?.tasks.map(({ parent }) => parent)).toEqual(PARENTS);
    for (const { parent, rows, split, alone, composed, composedLow, composedHigh } of quality?.tasks ?? []) {
      expect([rows, split], parent).toEqual([40, 'test']);
      // Forty of the sixty rows that the composition is judged on.
      expect(Math.abs(alone - made.metrics[`parent_accuracy/${parent}`]!)).toBeLessThan(0.2);
      expect(Math.abs(composed - made.metrics[`accuracy/${parent}`]!)).toBeLessThan(0.2);
      expect(composedLow).toBeLessThanOrEqual(composed);
      expect(composedHigh).toBeGreaterThanOrEqual(composed);
    }
    const twin = { document: document('twin', { rank: 2 }) };
    const mixed = await mesh.composer.preflight(
      { recipe: twin, estimateQuality: true },
      { deadlineMs: 100_000 },
    );
    expect(mixed.quality).toMatchObject({ absent: '', basis: 'parents' });
    expect(mixed.quality?.note).toMatch(/mixing and compressing/);
    const fisher = { document: document('fisher', { information_rows: 4 }) };
    const unmeasured = await mesh.composer.preflight(
      { recipe: fisher, estimateQuality: true },
      { deadlineMs: 100_000 },
    );
    expect(unmeasured.quality).toMatchObject({ basis: 'parents' });
    expect(unmeasured.quality?.note).toMatch(/measuring Fisher information takes minutes/);
    expect((await readdir(mesh.workFolder)).filter((name) => name.startsWith('probe-'))).toEqual([]);
  });

  it('goes along the great circle between two parents, from the base model', async () => {
    const [first, second] = ['tuned-court', 'tuned-desk'];
    const models = { models: [{ model: first }, { model: second }] };
    const digestOf = async (base: string, t: number, more: object = models) =>
      (
        await mesh.composer.preflight({
          recipe: { document: document('slerp', { t }, { base_model: base, ...more }) },
        })
      ).recipeDigest;
    expect(await digestOf(second, 0.25)).toBe(await digestOf(first, 0.75));
    expect(await digestOf(first, 0.25)).not.toBe(await digestOf(first, 0.75));
    const { made } = await compose(document('slerp', { t: 0.25 }, { base_model: second, ...models }));
    expect(made.parents).toEqual([`${first}@1`, `${second}@1`]);
    expect(made.metrics['parity_max_abs']).toBeLessThan(1e-4);
  });

  it('runs the encoder twice where the router is to read the shared expert, and stores int8 where asked', async () => {
    const twice = await compose(document('twin', { rank: 2, passes: 2, top: 0 }));
    expect(twice.made.metrics['parity_max_abs']).toBeLessThan(1e-4);
    const small = await compose(document('twin', { rank: 2 }, { dtype: 'float16' }));
    expect(small.made.metrics['bytes']).toBeLessThan(twice.made.metrics['bytes']!);
  });

  it.each([
    ['an unknown field', document('twin', {}, { slice: 1 }), /slice \(line 1\) is unknown/],
    ['two rules of rank', document('twin', { rank: 2, rank_energy: 0.9 }), /cannot be given beside rank/],
    ['a gradient', document('twin', { rank: [1, 2] }), /must be one value/],
    ['another base', document('ties', { weight: 1 }, { base_model: 'nowhere' }), /parents stand on pico@1/],
    [
      'information for ties',
      document('twin', { shared: 'ties', information_rows: 9 }),
      /which measures none/,
    ],
    ['a path between three', document('slerp', { t: 0.5 }), /names 3 models; slerp takes 2/],
    ['a rank beyond the matrix', document('twin', { rank: 9999 }), /must be a whole number, 1 to 4096/],
  ])('refuses %s before any work', async (_, yaml, message) => {
    expect((await refusal(yaml)).message).toMatch(message);
  });

  it('fits the router to texts without labels where parents cite no data that is registered', async () => {
    await mesh.addParent({ name: 'bare-desk', labels: ['block', 'other'], seed: 31, texts: [] });
    await mesh.addParent({ name: 'bare-court', labels: ['appeal', 'other'], seed: 32, texts: [] });
    const yaml = document('twin', { rank: 2 }, { models: [{ model: 'bare-desk' }, { model: 'bare-court' }] });
    expect((await mesh.composer.preflight({ recipe: { document: yaml } })).obstacles).toHaveLength(2);
    const prompts = [...texts(BANK, 100), ...texts(LAW, 100)];
    const recipe = { document: yaml, name: 'of-prompts', prompts };
    expect(await mesh.composer.preflight({ recipe })).toMatchObject({ obstacles: [] });
    const stages = new Set<string>();
    let made: composerV1.Composition | undefined;
    for await (const { event } of mesh.composer.compose({ recipe }, { deadlineMs: 100_000 }))
      if (event.case === 'composition') made = event.value;
      else if (event.case === 'progress') stages.add(event.value.stage);
    expect(stages).toContain('prompts');
    expect(made?.metrics['prompts_kept']).toBeCloseTo(0.7, 2);
    const { manifest } = await opened(made!.manifestDigest);
    expect(JSON.parse(manifest.lineage?.recipe ?? '')).toMatchObject({ prompts: { count: prompts.length } });
    expect(manifest.lineage?.recipe).not.toContain(prompts[0]);
    const refused = mesh.composer.preflight({
      recipe: { method: 'switch', parents: [{ expert: 'bare-desk' }, { expert: 'bare-court' }], prompts },
    });
    await expect(refused).rejects.toThrow(/recipe\.prompts cannot be given to switch/);
  });

  it('refuses a document beside other fields', async () => {
    const recipe = { document: document('twin'), method: 'twin' };
    await expect(mesh.composer.preflight({ recipe })).rejects.toThrow(/cannot be given beside method/);
  });
});
