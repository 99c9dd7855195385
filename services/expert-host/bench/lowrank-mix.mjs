/**
 * One batch that mixes many low-rank experts against one expert at the same batch size, through a running host.
 *   npm run bench:lowrank [-- --experts 64 --rank 16 --tokens 16 --rounds 15 --out FILE]
 * Sides, in an order that turns every round: `probe` asks one probe (the base alone), `one` one low-rank expert, `mixed` as many
 * experts as texts. A side is as many requests of one text each at once, so that gRPC costs the same, and must come back as one
 * batch. Experts are random factors over all linear layers of the zoo's base: time does not depend on their values.
 */
import { lowRankFiles, openBundle, writeBundle } from '@thalamus/bundle';
import { decodeModel, readBertWeights } from '@thalamus/onnx-graph';
import { createRandom } from '@thalamus/tensor';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { BASE_FOLDER, childrenOf, cpuMsOf, memoryOf, startHost } from './host-process.mjs';

const { values } = parseArgs({
  options: {
    experts: { type: 'string', default: '64' },
    rank: { type: 'string', default: '16' },
    tokens: { type: 'string', default: '16' },
    rounds: { type: 'string', default: '15' },
    out: { type: 'string' },
  },
});
const [experts, rank, tokens, rounds] = ['experts', 'rank', 'tokens', 'rounds'].map((key) =>
  Number(values[key]),
);

const environment = {
  THALAMUS_MAX_BATCH: String(experts),
  THALAMUS_MAX_BATCH_TOKENS: String(experts * 256),
  THALAMUS_BATCH_DELAY_MS: '2000',
  THALAMUS_RUN_TIMEOUT_MS: '120000',
};
const bare = await startHost(environment);
await ask(bare, 'banking77');
const withoutExperts = await settled(bare);
await bare.stop();

const folder = mkdtempSync(join(tmpdir(), 'thalamus-lowrank-'));
const names = Array.from({ length: experts }, (_, i) => `lowrank-${i}`);
const folders = await writeExperts();
const host = await startHost(environment, folders);
const ready = async () => (await host.client.repositoryIndex({ ready: true })).models.length;
while ((await ready()) < experts + 10) await new Promise((resolve) => setTimeout(resolve, 200));
const withExperts = await settled(host);

const sides = {
  probe: () => Array.from({ length: experts }, () => 'banking77'),
  one: () => Array.from({ length: experts }, () => names[0]),
  mixed: () => names,
};
const raw = [];
for (const side of Object.keys(sides)) await batch(side);
for (let round = 0; round < rounds; round++) {
  const order = Object.keys(sides).map((_, i, all) => all[(i + round) % all.length]);
  for (const side of order) raw.push({ round, side, ...(await batch(side)) });
}
const ratio = (above, below, field) => {
  const of = (side, round) => raw.find((row) => row.side === side && row.round === round)[field];
  return interval(Array.from({ length: rounds }, (_, round) => of(above, round) / of(below, round)));
};
const summary = {
  machine: `${cpus().length} x ${cpus()[0]?.model}`,
  loadAverage: loadavg(),
  settings: { experts, rank, tokens, rounds },
  medianMs: Object.fromEntries(
    Object.keys(sides).map((side) => [
      side,
      median(raw.filter((row) => row.side === side).map(({ ms }) => ms)),
    ]),
  ),
  mixedAgainstOne: { ms: ratio('mixed', 'one', 'ms'), cpuMs: ratio('mixed', 'one', 'cpuMs') },
  mixedAgainstProbe: { ms: ratio('mixed', 'probe', 'ms'), cpuMs: ratio('mixed', 'probe', 'cpuMs') },
  memoryMiB: { withoutExperts, withExperts, afterRuns: memory(host) },
};
console.log(JSON.stringify(summary, null, 2));
if (values.out) writeFileSync(values.out, `${JSON.stringify({ summary, raw }, null, 1)}\n`);
await host.stop();
rmSync(folder, { recursive: true, force: true });

/** One text to each expert of a side at once. Time of the wall, and of all processors of the host. */
async function batch(side) {
  const pids = [host.pid, ...childrenOf(host.pid)];
  const cpu = () => pids.reduce((sum, pid) => sum + cpuMsOf(pid), 0);
  const before = cpu();
  const startedAt = performance.now();
  const answers = await Promise.all(sides[side]().map((name) => ask(host, name)));
  const ms = performance.now() - startedAt;
  const sizes = answers.map(({ parameters }) => Number(parameters.batch_size.parameterChoice.value));
  if (sizes.some((size) => size !== experts))
    throw new Error(`${side} came in batches of ${[...new Set(sizes)]}`);
  return { ms, cpuMs: cpu() - before };
}

function ask({ client }, modelName) {
  // Two special tokens and one for each word.
  const text = Array.from({ length: tokens - 2 }, () => 'money').join(' ');
  const inputs = [
    { name: 'text', datatype: 'BYTES', shape: [1n], contents: { bytesContents: [Buffer.from(text)] } },
  ];
  return client.modelInfer({ modelName, modelVersion: '', inputs }, { deadlineMs: 300_000 });
}

async function writeExperts() {
  const base = await openBundle(BASE_FOLDER);
  const { weights, config } = readBertWeights(decodeModel(await base.readFile('model.onnx')));
  const layers = [...weights].filter(
    ([name, { shape }]) => name.startsWith('encoder.') && shape.length === 2,
  );
  const random = createRandom(1);
  const numbers = (length) => Float32Array.from({ length }, () => 0.01 * random.normal());
  const written = [];
  for (const name of names) {
    const factors = layers.map(([weight, { shape }]) => {
      const [outputs, inputs] = shape;
      const layer = weight.slice(0, -'.weight'.length);
      return { layer, rank, inputs, outputs, a: numbers(rank * inputs), b: numbers(rank * outputs) };
    });
    const head = { task: 'text-classification', weights: numbers(2 * config.hiddenSize), bias: numbers(2) };
    const { schemaVersion, licence, trust, releaseDate, maxTokens } = base.manifest;
    const manifest = {
      ...{ schemaVersion, name, version: '1', kind: 'lowrank', task: 'text-classification', licence, trust },
      ...{ releaseDate, maxTokens, description: 'Random factors for a bench.', labels: ['no', 'yes'] },
      base: { name: base.manifest.name, digest: base.digest },
      ...{ parameterCount: 1, flopsPerToken: 1, precision: 'float16', trainingData: [], evaluation: [] },
    };
    const target = join(folder, name);
    await writeBundle(
      target,
      manifest,
      lowRankFiles({ baseName: 'minilm-l6', factors, rank, alpha: rank, head }),
    );
    written.push(target);
  }
  return written;
}

/** Memory when the garbage of the start has been given back. */
async function settled(running) {
  await new Promise((resolve) => setTimeout(resolve, 5_000));
  return memory(running);
}

function memory({ pid }) {
  return { service: memoryOf(pid).rssMiB, child: memoryOf(childrenOf(pid)[0]).rssMiB };
}

/** Median of the rounds with a 95 % interval from 2,000 resamples of them, seeded. */
function interval(ratios) {
  const random = createRandom(7);
  const medians = Array.from({ length: 2_000 }, () =>
    median(ratios.map(() => ratios[random.below(ratios.length)])),
  ).sort((a, b) => a - b);
  return { median: median(ratios), interval: [medians[49], medians[1_949]] };
}

function median(list) {
  const sorted = [...list].sort((a, b) => a - b);
  return (sorted[Math.floor((sorted.length - 1) / 2)] + sorted[Math.ceil((sorted.length - 1) / 2)]) / 2;
}
