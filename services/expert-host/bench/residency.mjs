/**
 * What it costs to have less room than experts, and to have many experts registered, through running hosts.
 *   npm run bench:residency [-- --parts adapters,graphs,registered --requests 240 --adapters 24 --graphs 6 --registered 1000 --out FILE]
 * Parts, all by default, each with two hosts that are asked in turn, the one that goes first changing every time, about the same expert:
 * - `adapters`: low-rank experts on one base; one host has room for all, the other for the base and half of them.
 * - `graphs`: whole encoders with a process each; one host has room for all, the other for half of them.
 * - `registered`: one host has five low-rank experts, the other as many as `--registered`; both are asked about the same five.
 * The first two are asked in three orders: `zipf` (popularity falls with the rank), `uniform` (each as likely), `cyclic` (one after
 * the other, where the least recently used is always the next that is asked for). Memory of an idle adapter is that of all
 * processes of the host, compared between the two hosts of `registered`.
 */
import { lowRankFiles, openBundle, writeBundle } from '@thalamus/bundle';
import { decodeModel, readBertWeights } from '@thalamus/onnx-graph';
import { createRandom } from '@thalamus/tensor';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { BASE_FOLDER, childrenOf, memoryOf, startHost } from './host-process.mjs';

const { values } = parseArgs({
  options: {
    parts: { type: 'string', default: 'adapters,graphs,registered' },
    requests: { type: 'string', default: '240' },
    adapters: { type: 'string', default: '24' },
    graphs: { type: 'string', default: '6' },
    registered: { type: 'string', default: '1000' },
    out: { type: 'string' },
  },
});
const requests = Number(values.requests);
const FEW = 5;
const RANK = 4;
const random = createRandom(1);
const numbers = (length) => Float32Array.from({ length }, () => 0.01 * random.normal());
const folder = mkdtempSync(join(tmpdir(), 'thalamus-residency-'));
const base = await openBundle(BASE_FOLDER);
// A budget of half the weights is half of what there is, whatever processes need besides.
const settings = {
  THALAMUS_MEMORY_LIMIT: String(8 * 2 ** 30),
  THALAMUS_MEMORY_COUNTS: 'weights',
  THALAMUS_BATCH_DELAY_MS: '0',
  // Both hosts make sessions alike, and neither measures how while it is measured.
  THALAMUS_INFERENCE_THREADS: '1',
  THALAMUS_INFERENCE_WEIGHTS: 'stored',
  THALAMUS_INFERENCE_CHILDREN: '1',
};
const raw = [];
const summary = {
  machine: `${cpus().length} x ${cpus()[0]?.model}`,
  loadAverage: loadavg(),
  settings: { ...values, out: undefined },
};

try {
  const make = {
    adapters: async (part) =>
      twiceTheBudget(part, await writeAdapters(Number(values.adapters)), base.sizeBytes),
    graphs: async (part) => twiceTheBudget(part, await writeGraphs(Number(values.graphs)), 0),
    registered: async () => manyRegistered(await writeAdapters(Number(values.registered))),
  };
  for (const part of values.parts.split(',')) {
    if (!(part in make)) throw new Error(`--parts has ${part}; it takes ${Object.keys(make).join(', ')}`);
    summary[part] = await make[part](part);
  }
  console.log(JSON.stringify(summary, null, 2));
  if (values.out) writeFileSync(values.out, `${JSON.stringify({ summary, raw }, null, 1)}\n`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function twiceTheBudget(part, experts, sharedBytes) {
  const bundles = experts.map(({ path }) => path);
  const names = experts.map(({ name }) => name);
  const roomy = await startHost(settings, bundles, { experts: [] });
  try {
    const { modelStats } = await roomy.client.modelStatistics({});
    const own = modelStats.filter(({ name }) => names.includes(name));
    // A base stands in nobody's own bytes.
    const each = Math.max(...own.map(({ memoryUsage }) => Number(memoryUsage[0].byteSize))) || base.sizeBytes;
    const limit = Math.floor(sharedBytes + (experts.length / 2) * each);
    const tight = await startHost({ ...settings, THALAMUS_MEMORY_LIMIT: String(limit) }, bundles, {
      experts: [],
    });
    try {
      const result = { experts: experts.length, bytesOfEach: each, limitBytes: limit };
      for (const order of ['zipf', 'uniform', 'cyclic'])
        result[order] = await compare(`${part}/${order}`, { roomy, tight }, ordered(order, names));
      const { models } = await tight.client.repositoryIndex({ ready: true });
      return { ...result, readyInTheEnd: models.length };
    } finally {
      await tight.stop();
    }
  } finally {
    await roomy.stop();
  }
}

async function manyRegistered(experts) {
  const names = experts.slice(0, FEW).map(({ name }) => name);
  const bundles = experts.map(({ path }) => path);
  const few = await startHost(settings, bundles.slice(0, FEW), { experts: [] });
  const many = await startHost(settings, bundles, { experts: [] });
  try {
    const compared = await compare('registered', { roomy: few, tight: many }, ordered('cyclic', names));
    const { modelStats } = await many.client.modelStatistics({ name: names[0] });
    const weights = Number(modelStats[0].memoryUsage[0].byteSize);
    await new Promise((resolve) => setTimeout(resolve, 5_000));
    const idle = (memoryBytes(many) - memoryBytes(few)) / (experts.length - FEW);
    return {
      registered: experts.length,
      against: FEW,
      manyAgainstFew: compared.ratio,
      ms: compared.ms,
      bytesOfWeights: weights,
      bytesOfIdleAdapter: Math.round(idle),
      bytesOverWeights: Math.round(idle - weights),
      startMs: { few: few.readyMs, many: many.readyMs },
    };
  } finally {
    await few.stop();
    await many.stop();
  }
}

/** Asks both hosts the same, in turn. */
async function compare(part, { roomy, tight }, names) {
  for (const name of new Set(names)) await ask(roomy, name);
  await ask(tight, names[0]);
  const rows = [];
  for (const [index, name] of names.entries()) {
    const { ready } = await tight.client.modelReady({ name });
    const row = { part, index, name, wasLoaded: ready };
    const sides = [
      ['roomyMs', roomy],
      ['tightMs', tight],
    ];
    for (const [side, host] of index % 2 === 0 ? sides : sides.reverse()) row[side] = await ask(host, name);
    rows.push(row);
  }
  raw.push(...rows);
  const side = (list, field) => list.map((row) => row[field]);
  const ratioOf = (list) => median(side(list, 'tightMs')) / median(side(list, 'roomyMs'));
  const again = createRandom(7);
  const ratios = Array.from({ length: 2_000 }, () =>
    ratioOf(rows.map(() => rows[again.below(rows.length)])),
  ).sort((a, b) => a - b);
  const quantiles = (field) => ({
    p50: quantile(side(rows, field), 0.5),
    p95: quantile(side(rows, field), 0.95),
  });
  const loaded = rows.filter(({ wasLoaded }) => wasLoaded);
  const loading = rows.filter(({ wasLoaded }) => !wasLoaded);
  return {
    requests: rows.length,
    shareThatFoundItLoaded: loaded.length / rows.length,
    tightP50Ms: { loaded: median(side(loaded, 'tightMs')), loadedFirst: median(side(loading, 'tightMs')) },
    ms: { roomy: quantiles('roomyMs'), tight: quantiles('tightMs') },
    ratio: { median: ratioOf(rows), interval: [ratios[49], ratios[1_949]] },
  };
}

function ordered(order, names) {
  const draw = createRandom(3);
  const weights = names.map((_, rank) => (order === 'zipf' ? 1 / (rank + 1) : 1));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return Array.from({ length: requests }, (_, index) => {
    if (order === 'cyclic') return names[index % names.length];
    let at = (draw.below(1e6) / 1e6) * total;
    return names[weights.findIndex((weight) => (at -= weight) < 0)] ?? names.at(-1);
  });
}

/** Milliseconds until the answer. */
async function ask({ client }, modelName) {
  const text = 'please block the money of my card';
  const inputs = [
    { name: 'text', datatype: 'BYTES', shape: [1n], contents: { bytesContents: [Buffer.from(text)] } },
  ];
  const startedAt = performance.now();
  await client.modelInfer({ modelName, modelVersion: '', inputs }, { deadlineMs: 60_000 });
  return performance.now() - startedAt;
}

/** Low-rank experts: random factors over all linear layers of the zoo's base; time does not depend on their values. */
async function writeAdapters(count) {
  const { weights, config } = readBertWeights(decodeModel(await base.readFile('model.onnx')));
  const layers = [...weights].filter(
    ([name, { shape }]) => name.startsWith('encoder.') && shape.length === 2,
  );
  const factors = layers.map(([weight, { shape }]) => {
    const [outputs, inputs] = shape;
    const layer = weight.slice(0, -'.weight'.length);
    return { layer, rank: RANK, inputs, outputs, a: numbers(RANK * inputs), b: numbers(RANK * outputs) };
  });
  const written = [];
  for (let index = 0; index < count; index++) {
    const head = {
      task: 'text-classification',
      weights: numbers(2 * config.hiddenSize),
      bias: numbers(2),
    };
    const name = `lowrank-${count}-${index}`;
    const path = join(folder, name);
    await writeBundle(
      path,
      {
        ...facts(name),
        kind: 'lowrank',
        task: 'text-classification',
        labels: ['no', 'yes'],
        base: { name: base.manifest.name, digest: base.digest },
      },
      lowRankFiles({ baseName: base.manifest.name, factors, rank: RANK, alpha: RANK, head }),
    );
    written.push({ name, path });
  }
  return written;
}

/** Copies of the zoo's base, each an expert of its own with a process of its own. */
async function writeGraphs(count) {
  const files = Object.fromEntries(
    await Promise.all(base.manifest.files.map(async ({ path }) => [path, await base.readFile(path)])),
  );
  const written = [];
  for (let index = 0; index < count; index++) {
    const name = `graph-${index}`;
    const path = join(folder, name);
    await writeBundle(path, { ...facts(name), kind: 'full', task: 'feature-extraction' }, files);
    written.push({ name, path });
  }
  return written;
}

function facts(name) {
  const { schemaVersion, licence, trust, releaseDate, maxTokens } = base.manifest;
  return {
    ...{ schemaVersion, name, version: '1', licence, trust, releaseDate, maxTokens },
    ...{ description: 'Made for a bench.', parameterCount: 1, flopsPerToken: 1 },
    ...{ precision: 'float16', trainingData: [], evaluation: [] },
  };
}

/** Resident bytes of a host and of its inference processes. */
function memoryBytes({ pid }) {
  return [pid, ...childrenOf(pid)].reduce((sum, each) => sum + memoryOf(each).rssMiB * 2 ** 20, 0);
}

function quantile(list, share) {
  const sorted = [...list].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
}

/** null for an empty list. */
function median(list) {
  if (list.length === 0) return null;
  const sorted = [...list].sort((a, b) => a - b);
  return (sorted[Math.floor((sorted.length - 1) / 2)] + sorted[Math.ceil((sorted.length - 1) / 2)]) / 2;
}
