import type { MessageInitShape } from '@bufbuild/protobuf';
import { importBundle, openRouterBundle } from '@thalamus/bundle';
import { artifactV1, registryV1, releaseV1 } from '@thalamus/contracts';
import { createClient, createLeaderClient, type RpcClient } from '@thalamus/grpc';
import { RemoteArtifactStore } from '@thalamus/registry';
import { waitUntil } from '@thalamus/testing';
import { readCsv } from '@thalamus/training';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { chromium, type Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeVersion, surer, swapped, type Update } from '../release/make-version.js';
import { Traffic } from '../release/traffic.js';
import { kafkaBrokers } from '../support/bus.js';
import { chromiumBinary } from '../support/chromium.js';
import { ROOT, temporaryFolder } from '../support/paths.js';
import { startThalamus, thalamus, type RunningCommand } from '../support/run-command.js';
import { startReplicated, type ReplicatedMesh } from './replicated-mesh.js';

const { ReleaseState } = releaseV1;
const PATIENCE = { timeoutMs: 480_000, everyMs: 200 };
/** Experts that are trained here, and the sets of the zoo that they learn. */
const TRAINED = { voice: 'snips7', court: 'overruling' } as const;
/** Those of the sets, as the zoo states them: what is composed must allow it. */
const LICENCES = { snips7: 'CC0-1.0', overruling: 'CC-BY-4.0' } as const;
const COMPOSED = 'voice-and-court';
const TOPIC = 'thalamus.registry.state.v1';
const PICTURES = process.env['THALAMUS_STORY_PICTURES'];

let mesh: ReplicatedMesh;
let events: RunningCommand;
let releases: RpcClient<typeof releaseV1.ReleaseService>;
let registry: RpcClient<typeof registryV1.RegistryService>;
let browser: Browser;
const traffic: Traffic[] = [];
const folder = temporaryFolder('story-files');
const sample = (set: string, part: string) => join(ROOT, `zoo/data/sample/${set}.${part}.csv`);
const rowsOf = (set: string, part: string) => readCsv(readFileSync(sample(set, part)), set);

beforeAll(async () => {
  const brokers = kafkaBrokers();
  if (brokers === undefined) throw new Error('The story needs a broker: run it with npm run e2e:story.');
  mesh = await startReplicated(brokers);
  const address = mesh.addressOf('updater');
  releases = createLeaderClient(releaseV1.ReleaseService, { address, defaultDeadlineMs: 60_000 });
  registry = createLeaderClient(registryV1.RegistryService, { address, defaultDeadlineMs: 60_000 });
  events = startThalamus(['events', 'tail', '--topic', TOPIC, '--from-beginning', '--data', mesh.folder], {
    timeoutMs: 3_600_000,
  });
  browser = await chromium.launch({ executablePath: chromiumBinary(), args: ['--no-sandbox'] });
});
afterAll(async () => {
  await Promise.all(traffic.map((each) => each.stop()));
  await browser.close();
  releases.close();
  registry.close();
  events.child.kill('SIGINT');
  await events.ended;
  await mesh.stop();
});

/** Runs a verb that must succeed; `place` names the mesh. */
async function verb(args: readonly string[], place: '--mesh' | '--data' = '--data'): Promise<void> {
  const all = [...args, '--json', place, mesh.folder];
  const { exit, stderr } = await thalamus(all, { timeoutMs: PATIENCE.timeoutMs });
  expect(exit, `${args.join(' ')}: ${stderr}`).toBe(0);
}

async function ask(gateway: number, model: string, input: string) {
  const response = await fetch(`${mesh.http[gateway] ?? ''}/v1/classifications`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${mesh.key}` },
    body: JSON.stringify({ model, input }),
  });
  return {
    status: response.status,
    expert: response.headers.get('x-thalamus-expert'),
    body: await response.text(),
  };
}

/** Waits until both gateways answer for a model. */
async function untilAnswered(model: string): Promise<void> {
  for (const gateway of [0, 1])
    await waitUntil(
      `${model} answers at gateway ${gateway}`,
      async () => (await ask(gateway, model, 'play some jazz')).status === 200,
      PATIENCE,
    );
}

/** Adds an update of a shipped expert; where its bundle is. */
async function add(expert: string, version: string, update: Update): Promise<string> {
  const place = join(folder, `${expert}-${version}`);
  await makeVersion(expert, version, update, place);
  await verb(['experts', 'add', place]);
  return place;
}

async function start(
  expert: string,
  toVersion: string,
  more: MessageInitShape<typeof releaseV1.StartRequestSchema> = {},
): Promise<string> {
  const { release } = await releases.start({
    ...{ expert, toVersion, steps: [0.3, 1], minimumSamples: 40, stepSeconds: 1, mirrorShare: 1 },
    ...{ negativeFlipBudget: 0.05, latencyTolerance: 50 },
    ...more,
  });
  return release?.id ?? '';
}

/** Stores what a bundle answers to the test rows of a set; the digest. */
async function predictions(bundle: string, set: string): Promise<string> {
  const path = join(folder, `${basename(bundle)}.jsonl`);
  const { exit, stderr } = await thalamus(
    ['experts', 'evaluate', bundle, '--data', sample(set, 'test'), '--predictions', path, '--json'],
    { timeoutMs: PATIENCE.timeoutMs },
  );
  expect(exit, stderr).toBe(0);
  return (await stored((store) => store.put(readFileSync(path)))).digest;
}

/** Does something with the artifacts of the mesh. */
async function stored<Result>(use: (store: RemoteArtifactStore) => Promise<Result>): Promise<Result> {
  const address = mesh.addressOf('updater');
  const artifacts = createClient(artifactV1.ArtifactService, { address, defaultDeadlineMs: 60_000 });
  return use(new RemoteArtifactStore(artifacts)).finally(() => artifacts.close());
}

async function until(id: string, state: releaseV1.ReleaseState): Promise<releaseV1.Release> {
  let seen: releaseV1.Release | undefined;
  await waitUntil(
    `${id} is ${ReleaseState[state]}`,
    async () => {
      seen = (await releases.getRelease({ id })).release;
      const isOver = seen?.state === ReleaseState.STABLE || seen?.state === ReleaseState.ROLLED_BACK;
      if (isOver && seen?.state !== state)
        throw new Error(`${id} ended otherwise: ${seen?.history.at(-1)?.reason ?? ''}`);
      return seen?.state === state;
    },
    PATIENCE,
  );
  return seen as releaseV1.Release;
}

/** Opens a page of the console, waits for words, and takes its picture, by the name of the scene, where one is wanted. */
async function see(scene: string, path: string, words: readonly string[]): Promise<void> {
  const page = await browser.newPage({ baseURL: mesh.http[0] ?? '', viewport: { width: 1280, height: 960 } });
  await page.addInitScript(`sessionStorage.setItem('thalamus.key', '${mesh.key}')`);
  page.setDefaultTimeout(60_000);
  await page.goto(`/console/${path}`);
  for (const text of words) await page.getByText(text).first().waitFor();
  if (PICTURES !== undefined) {
    mkdirSync(PICTURES, { recursive: true });
    await page.screenshot({ path: join(PICTURES, `story-${scene}.png`) });
  }
  await page.close();
}

const announced = () =>
  new Set(
    events.said.stdout
      .split('\n')
      .filter(Boolean)
      .map((line) => (JSON.parse(line) as { key: string }).key),
  );

describe('the whole story, with two replicas of each service', () => {
  it('trains two experts and registers them', async () => {
    await Promise.all(
      Object.entries(TRAINED).map(([name, set]) =>
        verb(
          [
            ...['experts', 'train', '--data', sample(set, 'train'), '--test', sample(set, 'test')],
            ...['--name', name, '--method', 'lora', '--epochs', '2', '--channel', 'stable', '--keep-method'],
            ...['--licence', LICENCES[set]],
          ],
          '--mesh',
        ),
      ),
    );
    for (const name of Object.keys(TRAINED)) await untilAnswered(name);
    await see('experts', 'experts', Object.keys(TRAINED));
  });

  it('routes to each by its prompts, with a router trained on what both lose', async () => {
    const prompts = join(folder, 'prompts.jsonl');
    const lines = Object.values(TRAINED).flatMap((set) => rowsOf(set, 'train'));
    writeFileSync(prompts, lines.map(({ text, label }) => `${JSON.stringify({ text, label })}\n`).join(''));
    const table = join(folder, 'table.jsonl.gz');
    const experts = Object.keys(TRAINED).join(',');
    await verb(['router', 'table', '--experts', experts, '--prompts', prompts, '--out', table], '--mesh');
    const place = join(folder, 'story-router');
    const trained = await thalamus(
      ['router', 'train', '--table', table, '--out', place, '--task', 'text-classification', '--json'],
      { timeoutMs: PATIENCE.timeoutMs },
    );
    expect(trained.exit, trained.stderr).toBe(0);
    const { digest } = await stored((store) => importBundle(place, store));
    expect((await openRouterBundle(place)).digest).toBe(digest);
    const reason = 'no other router model has heads for what was trained here';
    await registry.registerRouterModel({ routerModel: { manifestDigest: digest }, activate: true, reason });
    for (const [name, set] of Object.entries(TRAINED)) {
      const [row] = rowsOf(set, 'test');
      for (const gateway of [0, 1])
        await waitUntil(
          `gateway ${gateway} routes to ${name}`,
          async () => (await ask(gateway, 'auto', row?.text ?? '')).expert === name,
          PATIENCE,
        );
    }
  });

  it('composes them, and the composition answers for both', async () => {
    await verb(['compose', 'run', ...Object.keys(TRAINED), '--name', COMPOSED], '--mesh');
    await untilAnswered(COMPOSED);
    for (const set of Object.values(TRAINED)) {
      const rows = rowsOf(set, 'test').slice(0, 20);
      const answers = await Promise.all(rows.map(({ text }, at) => ask(at % 2, COMPOSED, text)));
      const right = answers.filter(({ body }, at) => body.includes(JSON.stringify(rows[at]?.label ?? '')));
      expect(right.length).toBeGreaterThan(12);
    }
    // Both were judged by the rows that they were tested with.
    await see('composition', 'compositions', [COMPOSED, 'The mark is the parent alone']);
  });

  it('ships a good update and takes a bad one back while callers ask at both gateways', async () => {
    const shipped = 'snips7';
    for (const http of mesh.http) {
      const callers = new Traffic(http, mesh.key, shipped, 30);
      traffic.push(callers);
      callers.start(2);
    }
    const old = await predictions(join(ROOT, 'zoo/experts', shipped), shipped);
    await add(shipped, '101', surer);
    const goodId = await start(shipped, '101', { stepSeconds: 5 });
    await until(goodId, ReleaseState.CANARY);
    await see('canary', `releases/${goodId}`, [shipped, 'Canary', 'Share that speaks against the candidate']);
    const good = await until(goodId, ReleaseState.STABLE);

    const place = await add(shipped, '102', swapped(0, 1));
    const files = { oldDigest: old, newDigest: await predictions(place, shipped) };
    const stoppedId = await start(shipped, '102', files);
    const stopped = await until(stoppedId, ReleaseState.COMPARED);
    expect(stopped.stopped).toContain('Incompatible');
    expect(traffic.flatMap((each) => each.of('102'))).toEqual([]);
    await see('stopped', `releases/${stoppedId}`, [shipped, 'Incompatible']);
    await releases.rollBack({ releaseId: stoppedId, reason: 'it swaps two labels' });

    const bad = await until(await start(shipped, '102'), ReleaseState.ROLLED_BACK);
    expect(bad.history.at(-1)?.reason).toMatch(/mirror\.|canary\./);
    await waitUntil(
      'callers at both gateways get the version before',
      () => traffic.every((each) => each.asked.at(-1)?.version === '101'),
      PATIENCE,
    );
    await Promise.all(traffic.map((each) => each.stop()));
    for (const each of traffic) {
      expect(each.failed).toEqual([]);
      expect(each.asked.length).toBeGreaterThan(50);
      expect(each.asked.at(-1)?.version).toBe('101');
    }
    for (const { id } of [good, stopped, bad]) expect(announced()).toContain(`release/${id}`);
    await see('taken-back', `releases/${bad.id}`, [shipped, 'Rolled back']);
  });

  it('has told every step on the topics', () => {
    const keys = announced();
    for (const name of [...Object.keys(TRAINED), COMPOSED]) {
      expect(keys).toContain(`expert/${name}`);
      expect([...keys].some((key) => key.startsWith(`version/${name}@`))).toBe(true);
    }
    for (const kind of ['router-model/', 'composition/', 'release/'])
      expect([...keys].some((key) => key.startsWith(kind))).toBe(true);
  });
});
