// What a routing decision costs beyond the encoder's own run, in one process and one run, interleaved prompt by prompt:
//   encoder   the bare ONNX Runtime session on ready token ids (what any router that reads its vector must pay)
//   decision  RoutePrompt as the gRPC handler calls it: flags, tokeniser, encoder, heads, regions, abstention, filters, ranking
//   call      the same through the gRPC server and client on this machine
// Usage: npm run bench:router [-- --rounds 200] [--router FOLDER ...] [--json]. Build first. Without --router: the shipped router of
// classifiers, and one with the `fast` encoder, which runs no graph and is trained here; the encoder stands beside it to compare. Figures:
// docs/results/router-latency.md.
import { importBundle, FolderArtifactStore, openBundle } from '@thalamus/bundle';
import { routerV1, TOPICS } from '@thalamus/contracts';
import { EmbeddedEventBus, encodeEvent, topicSpec } from '@thalamus/events';
import { createClient, GrpcServer, implementService, localContext } from '@thalamus/grpc';
import { OrtRuntime, Tokenizer } from '@thalamus/inference';
import { RegistryView, ResidencyView } from '@thalamus/registry';
import { setLogLevel } from '@thalamus/telemetry';
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { RouterGrpcService } from '../dist/adapters/grpc/router.service.js';
import { CorrectionView } from '../dist/application/online/correction-view.js';
import { Candidates } from '../dist/application/candidates.js';
import { RoutePrompt } from '../dist/application/route-prompt.js';
import { RouterModels } from '../dist/application/router-models.js';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '200' },
    router: { type: 'string', multiple: true },
    json: { type: 'boolean', default: false },
  },
});
const rounds = Number(values.rounds);
if (!Number.isInteger(rounds) || rounds < 10)
  throw new TypeError('--rounds must be a whole number of 10 or more');

const zoo = fileURLToPath(new URL('../../../zoo', import.meta.url));
const words =
  'the party of the first part shall hold harmless and indemnify the party of the second part against all claims '.split(
    ' ',
  );
/** Texts of about this many tokens, each a little different. */
const text = (tokens, seed) =>
  Array.from({ length: tokens - 2 }, (_, at) => words[(at * 7 + seed) % (words.length - 1)]).join(' ');

setLogLevel('error');
const folder = await mkdtemp(join(tmpdir(), 'thalamus-bench-router-'));
try {
  const results = [];
  for (const router of values.router ?? [join(zoo, 'router', 'zoo-router'), trainedFast()])
    results.push(await run(router));
  if (values.json) process.stdout.write(`${JSON.stringify(results, null, 2)}\n`);
  else results.forEach(report);
} finally {
  await rm(folder, { recursive: true, force: true });
}

/** Trains a router model that runs no graph, on the recorded problems of the zoo, and gives its folder. */
function trainedFast() {
  const out = join(folder, 'fast-router');
  const cli = fileURLToPath(new URL('../../cli/bin/thalamus.mjs', import.meta.url));
  const table = join(zoo, 'fleet', 'gsm8k.jsonl.gz');
  execFileSync(
    process.execPath,
    [cli, 'router', 'train', '--table', table, '--out', out, '--encoder', 'fast', '--seed', '1'],
    {
      stdio: ['ignore', 'ignore', 'inherit'],
    },
  );
  return out;
}

/** Measures one router model, which lies in a folder. */
async function run(router) {
  const own = await mkdtemp(join(folder, 'run-'));
  const store = new FolderArtifactStore(join(own, 'artifacts'));
  const base = await importBundle(join(zoo, 'base', 'minilm-l6'), store);
  const model = await importBundle(router, store);
  const { task } = model.manifest;
  const inputs = model.manifest.encoder.inputs ?? [{ kind: 'sentence' }];
  const isFast = !inputs.some(({ kind }) => kind === 'sentence');
  const bus = new EmbeddedEventBus({ file: join(own, 'events.sqlite') });
  await bus.start();
  await bus.ensureTopics(Object.values(TOPICS).map(topicSpec));
  await bus.publish(registry(model));
  const view = new RegistryView(bus);
  const residency = new ResidencyView(bus);
  await view.start();
  await residency.start();
  const runtime = new OrtRuntime();
  const options = {
    threads: 1,
    maxBatch: 16,
    batchDelayMs: 0,
    maxQueue: 512,
    // Every prompt is encoded: that is what is measured.
    promptCache: 0,
    retryMs: 5_000,
    cacheFolder: join(own, 'cache'),
  };
  const models = new RouterModels(view, store, runtime, options);
  await models.start();
  const corrections = new CorrectionView(bus, view);
  await corrections.start();
  const online = { corrections, stayMargin: 0 };
  const routePrompt = new RoutePrompt(models, new Candidates(view, residency), view, online);
  const server = new GrpcServer({
    host: '127.0.0.1',
    port: 0,
    services: [implementService(routerV1.RouterService, new RouterGrpcService(routePrompt, models))],
  });
  await server.start();
  const client = createClient(routerV1.RouterService, {
    address: `127.0.0.1:${server.port}`,
    defaultDeadlineMs: 30_000,
  });
  const encoder = await openBundle(join(zoo, 'base', 'minilm-l6'));
  const tokenizer = Tokenizer.parse(await encoder.readFile('tokenizer.json'));
  const session = await runtime.load({ path: encoder.filePath('model.onnx') }, { threads: 1 });

  const rows = [];
  for (const tokens of [16, 64, 128, 256]) {
    const times = { encoder: [], decision: [], call: [] };
    const stages = {};
    let second = 0;
    for (let round = -20; round < rounds; round++) {
      const request = {
        prompt: text(tokens, round + 20),
        task,
        tenant: '',
        flags: [],
        topK: 0,
        experts: [],
        contextTokens: 0,
        minRegistryRevision: 0n,
        requestId: '',
      };
      const batch = await tokenizer.encodeBatch([request.prompt], 256);
      const feeds = { input_ids: batch.inputIds, attention_mask: batch.attentionMask };
      const parts = {
        encoder: () => session.run(feeds, { outputs: ['embedding'] }),
        decision: () => routePrompt.run(request, localContext()),
        call: () => client.route(request),
      };
      // The order turns with each round, so that none is always the one after a warm cache.
      const names = Object.keys(parts);
      for (let at = 0; at < names.length; at++) {
        const name = names[(at + round + 21) % names.length];
        const startedAt = performance.now();
        const answer = await parts[name]();
        const durationMs = performance.now() - startedAt;
        if (round < 0) continue;
        times[name].push(durationMs);
        if (name !== 'decision') continue;
        if (answer.prediction.stage?.stage === 'second') second += 1;
        for (const { stage, durationMs: spent } of answer.timings) (stages[stage] ??= []).push(spent);
      }
    }
    const medians = Object.fromEntries(
      Object.entries(times).map(([name, list]) => [name, quantile(list, 0.5)]),
    );
    const ratios = times.decision.map((value, at) => value / times.encoder[at]);
    rows.push({
      tokens,
      rounds,
      encoderP50Ms: medians.encoder,
      decisionP50Ms: medians.decision,
      callP50Ms: medians.call,
      decisionP95Ms: quantile(times.decision, 0.95),
      ratioOfMedians: medians.decision / medians.encoder,
      medianOfRatios: quantile(ratios, 0.5),
      // Of a cascade: how many prompts ran the graph.
      ...(model.manifest.secondStage ? { secondShare: second / rounds } : {}),
      stagesP50Ms: Object.fromEntries(
        Object.entries(stages).map(([stage, list]) => [stage, quantile(list, 0.5)]),
      ),
    });
  }
  const result = {
    router: `${model.manifest.name}@${model.manifest.version}`,
    encoder: model.manifest.secondStage ? 'cascade' : isFast ? 'fast' : 'graph',
    candidates: model.manifest.candidates.length,
    cpu: cpus()[0]?.model,
    cores: cpus().length,
    node: process.version,
    baseDigest: base.digest,
    rows,
  };
  client.close();
  await session.release();
  await server.drain(1_000);
  await models.close();
  await corrections.close();
  await view.close();
  await residency.close();
  await bus.close();
  return result;
}

function registry(model) {
  const { task } = model.manifest;
  let revision = 0n;
  const record = (key, value) =>
    encodeEvent(TOPICS.registryState, { key, revision: (revision += 1n), value }, { source: '/bench', key });
  const experts = model.manifest.candidates.flatMap(({ expert, version }) => [
    record(`version/${expert}@${version}`, {
      case: 'version',
      value: { expert, version, task, licence: 'Apache-2.0', maxTokens: 256, flopsPerToken: 2e7 },
    }),
    record(`expert/${expert}`, { case: 'expert', value: { name: expert, task, stable: version } }),
  ]);
  const { name, version } = model.manifest;
  const value = { name, version, task, manifestDigest: model.digest, active: true };
  return [...experts, record(`router-model/${name}@${version}`, { case: 'routerModel', value })];
}

function quantile(list, share) {
  const sorted = [...list].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
}

function report(result) {
  const ms = (value) => value.toFixed(2);
  const lines = result.rows.map(
    (row) =>
      `| ${row.tokens} | ${ms(row.encoderP50Ms)} | ${ms(row.decisionP50Ms)} | ${row.medianOfRatios.toFixed(3)} | ${ms(row.decisionP95Ms)} | ${ms(row.callP50Ms)} | ${Object.entries(
        row.stagesP50Ms,
      )
        .map(([stage, value]) => `${stage} ${value.toFixed(3)}`)
        .join(
          ', ',
        )}${row.secondShare === undefined ? '' : `, second stage for ${(100 * row.secondShare).toFixed(0)} %`} |`,
  );
  process.stdout.write(
    `${result.router}, ${result.candidates} candidates, encoder ${result.encoder}; ${result.cpu}, ${result.cores} cores, Node ${result.node}, ${rounds} rounds, one thread\n\n| tokens | encoder p50 ms | decision p50 ms | ratio, median | decision p95 ms | over gRPC p50 ms | stages p50 ms |\n| -----: | -----: | -----: | -----: | -----: | -----: | :----- |\n${lines.join('\n')}\n\n`,
  );
}
