import { materialiseBundle, openBundle, parseDigest } from '@thalamus/bundle';
import { registryV1, type composerV1 } from '@thalamus/contracts';
import { toThalamusError, type ThalamusError } from '@thalamus/errors';
import { ChildProcessRuntime, TextEncoder, Tokenizer } from '@thalamus/inference';
import { asFloat32, softmax, tensor } from '@thalamus/tensor';
import { picoEncoder, picoHead, picoTokenizer, waitUntil, PICO_CONFIG } from '@thalamus/testing';
import { encodeModel } from '@thalamus/onnx-graph';
import { timestampMs } from '@bufbuild/protobuf/wkt';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { ComposerMesh, texts } from './composer-mesh.js';

// Processes and ONNX Runtime on a machine that may be busy: bounds against hanging, not promises.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const BANK = ['card', 'lost', 'money', 'block', 'my'];
const LAW = ['law', 'court', 'the', 'hello', 'world'];
const BANK_LABELS = ['block', 'other', 'refund'];
const LAW_LABELS = ['appeal', 'other'];
const mesh = new ComposerMesh();

const recipe = (parents: readonly string[], more: Record<string, unknown> = {}) => ({
  method: 'switch',
  parents: parents.map((expert) => ({ expert })),
  ...more,
});

async function compose(request: Parameters<typeof mesh.composer.compose>[0], options = {}) {
  const steps: composerV1.ComposeProgress[] = [];
  for await (const { event } of mesh.composer.compose(request, { deadlineMs: 100_000, ...options })) {
    if (event.case === 'progress') steps.push(event.value);
    else if (event.case === 'composition') return { steps, made: event.value };
  }
  throw new Error('no composition came');
}

async function fault(work: Promise<unknown>): Promise<ThalamusError> {
  try {
    await work;
  } catch (error) {
    return toThalamusError(error);
  }
  throw new Error('nothing was refused');
}

const versionOf = async (expert: string, version: string) => {
  const { resource } = await mesh.registry.getResource({ key: `version/${expert}@${version}` });
  return resource?.value.value as registryV1.ExpertVersion;
};

beforeAll(async () => {
  await mesh.start();
  await mesh.addBase('pico', 1);
  await mesh.addBase('other-base', 2);
  await mesh.addParent({ name: 'bank-desk', labels: BANK_LABELS, seed: 11, texts: texts(BANK, 120) });
  await mesh.addParent({ name: 'court', labels: LAW_LABELS, seed: 12, texts: texts(LAW, 120) });
  await mesh.addParent({
    name: 'elsewhere',
    labels: ['a', 'b'],
    seed: 13,
    texts: texts(LAW, 40),
    base: 'other-base',
  });
  await mesh.addParent({ name: 'no-data', labels: ['a', 'b'], seed: 14, texts: [] });
  await mesh.addParent({
    name: 'closed',
    labels: ['a', 'b'],
    seed: 15,
    texts: texts(LAW, 40),
    licence: 'CC-BY-ND-4.0',
  });
});
afterAll(() => mesh.stop());

describe('the composer', () => {
  it('lists its methods', async () => {
    const { methods } = await mesh.composer.listMethods({});
    const kinds = new Map(methods.map(({ name, parentKinds }) => [name, parentKinds]));
    expect(kinds.get('twin')).toEqual(['full', 'lowrank', 'probe']);
    expect(kinds.get('switch')).toEqual(['probe', 'lowrank']);
    expect(kinds.has('ties')).toBe(true);
    const twin = methods.find(({ name }) => name === 'twin')!;
    expect(twin.parameters.find(({ name }) => name === 'shared_weight')).toMatchObject({
      defaultValue: 0.3,
      defaultJson: '0.3',
    });
    expect(twin.parameters.find(({ name }) => name === 'shared')?.defaultJson).toBe('"task_arithmetic"');
  });

  it('composes, registers what stands alone and does what its parents do, and finds it again in whatever order', async () => {
    const before = await mesh.composer.preflight({ recipe: recipe(['court', 'bank-desk']) });
    expect(before).toMatchObject({ obstacles: [], existing: '' });
    expect(before.recipeDigest).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(before.memoryBytes > before.sizeBytes && before.sizeBytes > 0n).toBe(true);

    const { steps, made } = await compose({ recipe: recipe(['court', 'bank-desk']), timeToLiveS: 3600n });
    expect([...new Set(steps.map(({ stage }) => stage))]).toEqual([
      'preflight',
      'fetch',
      'router',
      'graph',
      'parity',
      'register',
    ]);
    expect(steps.at(-1)).toMatchObject({ stage: 'register', done: 1n, total: 1n });
    expect(made).toMatchObject({
      expert: `switch-${before.recipeDigest.slice(7, 19)}`,
      version: '1',
      recipeDigest: before.recipeDigest,
      parents: ['bank-desk@1', 'court@1'],
      existed: false,
    });
    expect(made.metrics['parity_max_abs']).toBeLessThan(1e-4);
    // Different words: a linear router on even a random encoder tells most apart.
    expect(made.metrics['router_accuracy']).toBeGreaterThan(0.8);
    for (const parent of ['bank-desk', 'court'])
      expect(made.metrics[`accuracy_loss/${parent}`]).toBeCloseTo(
        made.metrics[`parent_accuracy/${parent}`]! - made.metrics[`accuracy/${parent}`]!,
        5,
      );

    const version = await versionOf(made.expert, '1');
    expect(version).toMatchObject({
      kind: registryV1.ExpertKind.TWIN,
      labelCount: 4,
      baseDigest: '',
      parents: made.parents,
    });
    const { resource } = await mesh.registry.getResource({ key: `expert/${made.expert}` });
    const expires = (resource?.value.value as registryV1.Expert).expiresAt;
    expect(expires && timestampMs(expires) - Date.now()).toSatisfy(
      (left: number) => left > 3_000_000 && left <= 3_600_000,
    );

    const expert = async () => {
      const { resource } = await mesh.registry.getResource({ key: `expert/${made.expert}` });
      return resource?.value.value as registryV1.Expert;
    };
    const again = await compose({ recipe: recipe(['bank-desk', 'court']), timeToLiveS: 60n });
    expect(again.made).toEqual({ ...made, existed: true });
    expect((await expert()).expiresAt).toEqual(expires);
    // Who gives no time wants it for ever, though it was made for a while.
    await compose({ recipe: recipe(['bank-desk', 'court']), dryRun: true });
    expect((await expert()).expiresAt).toEqual(expires);
    expect((await compose({ recipe: recipe(['bank-desk', 'court']) })).made).toEqual(again.made);
    expect(await expert()).not.toHaveProperty('expiresAt');
    expect((await expert()).timeToLiveS).toBe(0n);
    expect(await mesh.composer.getComposition({ recipeDigest: made.recipeDigest })).toMatchObject({
      composition: { ...made, existed: true },
    });
    expect(await mesh.composer.preflight({ recipe: recipe(['bank-desk', 'court']) })).toMatchObject({
      existing: `${made.expert}@1`,
    });
    expect(readdirSync(mesh.workFolder)).toEqual([]);
    await matchesParents(made.manifestDigest);
  });

  it('makes and checks without registering when asked to', async () => {
    const { made, steps } = await compose({
      recipe: recipe(['court', 'bank-desk'], { seed: 5n }),
      dryRun: true,
    });
    expect(made.metrics['parity_max_abs']).toBeLessThan(1e-4);
    expect(steps.some(({ stage }) => stage === 'register')).toBe(false);
    expect((await fault(mesh.composer.getComposition({ recipeDigest: made.recipeDigest }))).code).toBe(
      'RESOURCE_NOT_FOUND',
    );
    expect((await fault(versionOf(made.expert, '1'))).code).toBe('RESOURCE_NOT_FOUND');
  });

  it('gives a name that is taken its next version, which is not the stable one', async () => {
    const first = await compose({ recipe: recipe(['court', 'bank-desk'], { name: 'assistant' }) });
    const second = await compose({ recipe: recipe(['court', 'bank-desk'], { name: 'assistant', seed: 1n }) });
    expect([first.made.version, second.made.version]).toEqual(['1', '2']);
    const { resource } = await mesh.registry.getResource({ key: 'expert/assistant' });
    expect((resource?.value.value as registryV1.Expert).stable).toBe('1');
  });

  it('makes one of two callers who want the same at once', async () => {
    const request = { recipe: recipe(['court', 'bank-desk'], { name: 'twice' }) };
    const both = await Promise.all([compose(request), compose(request)]);
    expect(both.map(({ made }) => made.existed).sort()).toEqual([false, true]);
    expect(new Set(both.map(({ made }) => made.manifestDigest)).size).toBe(1);
  });

  it.each([
    ['an unknown parent', recipe(['court', 'ghost']), 'EXPERT_NOT_FOUND', 'No expert "ghost" is registered'],
    [
      'an unknown version',
      { method: 'switch', parents: [{ expert: 'court', version: '9' }, { expert: 'bank-desk' }] },
      'EXPERT_NOT_FOUND',
      'court has no version 9',
    ],
    ['a parent twice', recipe(['court', 'court']), 'REQUEST_INVALID', 'names court again'],
    ['one parent', recipe(['court']), 'REQUEST_INVALID', 'names 1 parents; switch takes 2 to 64'],
    ['no recipe', undefined, 'REQUEST_INVALID', 'recipe is missing'],
    [
      'an unknown method',
      recipe(['court', 'bank-desk'], { method: 'tweed' }),
      'REQUEST_INVALID',
      '"tweed" is unknown; known are twin, switch',
    ],
    [
      'an unknown parameter',
      recipe(['court', 'bank-desk'], { parameters: { rank: 4 } }),
      'REQUEST_INVALID',
      'recipe.parameters.rank is unknown',
    ],
    [
      'a weight',
      { method: 'switch', parents: [{ expert: 'court', weight: 2 }, { expert: 'bank-desk' }] },
      'REQUEST_INVALID',
      'parents[0].weight must be 0',
    ],
    [
      'a bad name',
      recipe(['court', 'bank-desk'], { name: 'No Way' }),
      'REQUEST_INVALID',
      'recipe.name must be',
    ],
    [
      'the name of a parent',
      recipe(['court', 'bank-desk'], { name: 'court' }),
      'REQUEST_INVALID',
      'is that of a parent',
    ],
    [
      'the name of a base',
      recipe(['court', 'bank-desk'], { name: 'pico' }),
      'REQUEST_INVALID',
      'pico is an expert for feature-extraction',
    ],
    ['another kind', recipe(['court', 'pico']), 'COMPOSITION_REFUSED', 'pico@1 is of the kind full'],
    ['another base', recipe(['court', 'elsewhere']), 'COMPOSITION_REFUSED', 'elsewhere@1 stands on sha256:'],
    [
      'missing data',
      recipe(['court', 'no-data']),
      'COMPOSITION_REFUSED',
      'no-data@1 cites no training data that is registered',
    ],
    [
      'a closed licence',
      recipe(['court', 'closed']),
      'COMPOSITION_REFUSED',
      'CC-BY-ND-4.0, which allows no derived work',
    ],
  ])('refuses %s before any work', async (_what, wanted, code, text) => {
    const error = await fault(compose(wanted === undefined ? {} : { recipe: wanted }));
    expect(error.code).toBe(code);
    expect(error.message).toContain(text);
    expect(error.violations.length).toBeGreaterThan(0);
    const preflight = mesh.composer.preflight(wanted === undefined ? {} : { recipe: wanted });
    if (code === 'COMPOSITION_REFUSED') {
      const { obstacles } = await preflight;
      expect(obstacles.map(({ parent, description }) => `${parent} ${description}`).join(' ')).toContain(
        text,
      );
      expect(obstacles.map(({ kind }) => kind)).toEqual(error.violations.map(({ field }) => field));
    } else expect((await fault(preflight)).code).toBe(code);
  });

  it('knows no composition that did not run, and says what a digest is', async () => {
    const unknown = `sha256:${'0'.repeat(64)}`;
    expect((await fault(mesh.composer.getComposition({ recipeDigest: unknown }))).code).toBe(
      'RESOURCE_NOT_FOUND',
    );
    expect((await fault(mesh.composer.getComposition({ recipeDigest: 'abc' }))).code).toBe('REQUEST_INVALID');
  });

  it('makes another composition when a parent has other rows, as the router may learn more of them', async () => {
    const request = { recipe: recipe(['court', 'bank-desk'], { seed: 9n }) };
    const { made } = await compose(request);
    expect((await mesh.composer.preflight(request)).existing).toBe(`${made.expert}@1`);
    await mesh.addData('court-router', 'train', texts([...LAW, 'please'], 60), LAW_LABELS);
    const after = await mesh.composer.preflight(request);
    expect(after).toMatchObject({ existing: '', obstacles: [] });
    expect(after.recipeDigest).not.toBe(made.recipeDigest);
    expect((await compose(request)).made.existed).toBe(false);
    expect((await mesh.composer.getComposition({ recipeDigest: made.recipeDigest })).composition).toEqual({
      ...made,
      existed: true,
    });
  });

  it('stops when the caller goes or its time is up, leaves nothing behind, and goes on with the next', async () => {
    const request = { recipe: recipe(['court', 'bank-desk'], { name: 'given-up' }) };
    const caller = new AbortController();
    const gone = (async () => {
      for await (const { event } of mesh.composer.compose(request, {
        signal: caller.signal,
        deadlineMs: 100_000,
      }))
        if (event.case === 'progress' && event.value.stage === 'fetch') caller.abort();
    })();
    expect((await fault(gone)).code).toBe('CANCELLED');
    await waitUntil(
      'the work folder is empty',
      () => !existsSync(mesh.workFolder) || readdirSync(mesh.workFolder).length === 0,
    );
    expect((await fault(compose(request, { deadlineMs: 60 }))).code).toBe('DEADLINE_EXCEEDED');
    expect((await fault(versionOf('given-up', '1'))).code).toBe('RESOURCE_NOT_FOUND');
    expect((await compose(request)).made.existed).toBe(false);
  });

  it('finishes what it makes when it is told to stop, then ends with 0', async () => {
    const { client, process: composer } = await mesh.composerProcess();
    const exited = new Promise((resolve) => composer.once('exit', resolve));
    let made: composerV1.Composition | undefined;
    for await (const { event } of client.compose(
      { recipe: recipe(['court', 'bank-desk'], { name: 'drained' }) },
      { deadlineMs: 100_000 },
    )) {
      // Once: a second signal would end it at once.
      if (event.case === 'progress' && event.value.stage === 'router' && !composer.killed)
        composer.kill('SIGTERM');
      if (event.case === 'composition') made = event.value;
    }
    client.close();
    expect(made?.expert).toBe('drained');
    expect(await exited).toBe(0);
  });
});

/** Opens the registered bundle alone and compares every probability with base and head, each parent named and mixed in one batch. */
async function matchesParents(manifestDigest: string): Promise<void> {
  const folder = await materialiseBundle(
    parseDigest(manifestDigest),
    mesh.store,
    join(mesh.folder, 'opened'),
  );
  const bundle = await openBundle(folder);
  const { manifest } = bundle;
  expect(manifest.labels).toEqual(['block', 'other', 'refund', 'appeal']);
  expect(manifest.lineage?.parents.map(({ name }) => name)).toEqual(['bank-desk', 'court']);
  expect(JSON.parse(manifest.lineage?.recipe ?? '')).toMatchObject({ method: 'switch', seed: 0 });
  expect(manifest.lineage?.codeVersion).toMatch(/^thalamus \d/);
  const runtime = new ChildProcessRuntime();
  try {
    const composed = await runtime.load({ path: bundle.filePath('model.onnx') });
    const base = await runtime.load({ bytes: encodeModel(picoEncoder(1)) });
    const tokenizer = Tokenizer.parse(picoTokenizer());
    const prompts = ['block my lost card', 'the court', 'hello world law', 'money'];
    const tasks = [0, 1, 0, 1];
    const { embeddings } = await new TextEncoder(tokenizer, base, PICO_CONFIG.maxPositions).encode(prompts);
    const { inputIds, attentionMask } = await tokenizer.encodeBatch(prompts, manifest.maxTokens);
    const outputs = await composed.run({
      input_ids: inputIds,
      attention_mask: attentionMask,
      task: tensor('int64', [4], BigInt64Array.from(tasks, BigInt)),
    });
    const scores = asFloat32(outputs['scores'], 'scores').data;
    const heads = [picoHead(3, 11), picoHead(2, 12)];
    const places = [
      [0, 1, 2],
      [3, 1],
    ];
    prompts.forEach((_, row) => {
      const { weights, bias } = heads[tasks[row]!]!;
      const vector = embeddings.subarray(row * 16, (row + 1) * 16);
      const logits = Array.from(bias, (shift, label) =>
        vector.reduce((sum, x, j) => sum + x * weights[label * 16 + j]!, shift),
      );
      const expected = [0, 0, 0, 0];
      softmax(logits).forEach((probability, label) => (expected[places[tasks[row]!]![label]!] = probability));
      expected.forEach((probability, label) => expect(scores[row * 4 + label]).toBeCloseTo(probability, 4));
    });
  } finally {
    await runtime.close();
  }
}
