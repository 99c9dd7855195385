import { composerV1, inference, RPC_METADATA, splitBytesElements } from '@thalamus/contracts';
import { createClient, type RpcClient } from '@thalamus/grpc';
import { waitUntil } from '@thalamus/testing';
import { chromium, type Browser } from 'playwright-core';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chromiumBinary } from '../support/chromium.js';
import type { Mesh } from '../support/mesh.js';
import { ROOT } from '../support/paths.js';
import { startThalamus, type RunningCommand } from '../support/run-command.js';
import { startMesh } from '../support/start-mesh.js';

const NAME = 'voice-and-court';
const PARENTS = ['overruling', 'snips7'];
/** The recipe of the zoo with two of its parents. */
const RECIPE = JSON.stringify({
  merge_method: 'twin',
  base_model: 'minilm-l6',
  models: PARENTS.map((model) => ({ model })),
  parameters: { rank: 32 },
});
const PROMPTS = [
  { text: 'book a table for two at an italian restaurant', parent: 'snips7', label: 'BookRestaurant' },
  {
    text: 'for these reasons we overrule our earlier decision to the extent that it holds otherwise',
    parent: 'overruling',
    label: 'Yes',
  },
];
const TOPIC = 'thalamus.registry.state.v1';
/** Of one composition, on a machine that is busy. */
const DEADLINE_MS = 600_000;

let mesh: Mesh;
let events: RunningCommand;
let composer: RpcClient<typeof composerV1.ComposerService>;
let oip: RpcClient<typeof inference.GRPCInferenceService>;
let browser: Browser;
let made: composerV1.Composition;
beforeAll(async () => {
  mesh = await startMesh();
  // It follows for as long as composing may take.
  events = startThalamus(
    ['events', 'tail', '--topic', TOPIC, '--from-beginning', '--data', mesh.dataFolder],
    { timeoutMs: 2 * DEADLINE_MS },
  );
  composer = createClient(composerV1.ComposerService, {
    address: mesh.addressOf('composer'),
    defaultDeadlineMs: DEADLINE_MS,
  });
  oip = createClient(inference.GRPCInferenceService, { address: mesh.grpc, defaultDeadlineMs: 30_000 });
  browser = await chromium.launch({ executablePath: chromiumBinary(), args: ['--no-sandbox'] });
});
afterAll(async () => {
  await browser.close();
  composer.close();
  oip.close();
  events.child.kill('SIGINT');
  await events.ended;
  await mesh.stop();
});

const metadata = () => ({ [RPC_METADATA.authorization]: `Bearer ${mesh.key}` });

describe('an expert composed over gRPC on a real broker', () => {
  it('is announced before it is made what it costs, then made with progress and figures', async () => {
    const recipe = { document: RECIPE, name: NAME };
    const before = await composer.preflight({ recipe });
    expect(before).toMatchObject({ obstacles: [], existing: '' });
    const stages = new Set<string>();
    for await (const { event } of composer.compose({ recipe }, { deadlineMs: DEADLINE_MS }))
      if (event.case === 'composition') made = event.value;
      else if (event.case === 'progress') stages.add(event.value.stage);
    for (const stage of ['merge', 'factors', 'router', 'parity', 'quality', 'register'])
      expect(stages).toContain(stage);
    expect(made).toMatchObject({
      expert: NAME,
      version: '1',
      recipeDigest: before.recipeDigest,
      existed: false,
    });
    expect(made.metrics['parity_max_abs']).toBeLessThan(1e-4);
    expect(made.metrics['normalized']).toBeGreaterThan(0.9);
    expect((await composer.getComposition({ recipeDigest: made.recipeDigest })).composition).toMatchObject({
      expert: NAME,
      existed: true,
    });
  });

  it('appears on the registry topic', async () => {
    const keys = () =>
      events.said.stdout
        .split('\n')
        .filter(Boolean)
        .map((line) => (JSON.parse(line) as { key: string }).key);
    await waitUntil('the version is announced', () => keys().includes(`version/${NAME}@1`), {
      timeoutMs: 30_000,
    });
    expect(keys().some((key) => key.startsWith('composition/'))).toBe(true);
  });

  it('answers by the Open Inference Protocol, a batch of both tasks at once, with its weights', async () => {
    await waitUntil(
      'a host has loaded it',
      () =>
        oip
          .modelReady({ name: NAME, version: '1' }, { metadata: metadata() })
          .then(({ ready }) => ready)
          .catch(() => false),
      { timeoutMs: 60_000 },
    );
    const contents = { bytesContents: PROMPTS.map(({ text }) => new TextEncoder().encode(text)) };
    const { outputs, rawOutputContents } = await oip.modelInfer(
      {
        modelName: NAME,
        modelVersion: '1',
        inputs: [{ name: 'text', datatype: 'BYTES', shape: [BigInt(PROMPTS.length)], contents }],
        outputs: ['label', 'parent', 'router_weights'].map((name) => ({ name })),
      },
      { metadata: metadata() },
    );
    const texts = (name: string) => {
      const raw = rawOutputContents[outputs.findIndex((output) => output.name === name)]!;
      return splitBytesElements(raw, name, PROMPTS.length).map((bytes) => new TextDecoder().decode(bytes));
    };
    expect(texts('parent')).toEqual(PROMPTS.map(({ parent }) => parent));
    expect(texts('label')).toEqual(PROMPTS.map(({ label }) => label));
    const weights = outputs.find(({ name }) => name === 'router_weights');
    expect(weights?.shape).toEqual([BigInt(PROMPTS.length), BigInt(PARENTS.length)]);
  });

  it('is seen on the console, with its parents and its score', async () => {
    const page = await browser.newPage({ baseURL: mesh.http });
    await page.addInitScript(`sessionStorage.setItem('thalamus.key', '${mesh.key}')`);
    page.setDefaultTimeout(20_000);
    await page.goto('/console/compositions');
    await page.getByText(NAME).first().waitFor();
    await page.getByText(NAME).first().click();
    for (const parent of PARENTS) await page.getByText(parent).first().waitFor();
    await page.close();
  });

  it('is found again by the same recipe, and refuses one with a wrong line by its line', async () => {
    for await (const { event } of composer.compose({ recipe: { document: RECIPE, name: NAME } }))
      if (event.case === 'composition') expect(event.value).toMatchObject({ version: '1', existed: true });
    const wrong = readFileSync(join(ROOT, 'zoo/recipes/twin.yaml'), 'utf8').replace('models:', 'modells:');
    const line = wrong.split('\n').findIndex((text) => text.startsWith('modells:')) + 1;
    await expect(composer.preflight({ recipe: { document: wrong } })).rejects.toThrow(
      new RegExp(`modells \\(line ${line}\\) is unknown`),
    );
  });
});
