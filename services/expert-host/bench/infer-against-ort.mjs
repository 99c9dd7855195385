/**
 * OIP ModelInfer against ONNX Runtime in this process, on the same graph and the same texts, interleaved.
 *   node services/expert-host/bench/infer-against-ort.mjs [--rounds 9] [--requests 64] [--batch 8] [--concurrency 16] [--lengths mixed|equal] [--out FILE]
 * The baseline gets texts that are tokenised already, padded to the longest of each request, and runs them one after the
 * other; the host gets texts, tokenises them, answers through gRPC and applies a probe head besides.
 */
import { openBundle } from '@thalamus/bundle';
import { OrtRuntime, Tokenizer } from '@thalamus/inference';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { BASE_FOLDER, childrenOf, cpuMsOf, memoryOf, startHost } from './host-process.mjs';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '9' },
    requests: { type: 'string', default: '64' },
    batch: { type: 'string', default: '8' },
    concurrency: { type: 'string', default: '16' },
    lengths: { type: 'string', default: 'mixed' },
    out: { type: 'string' },
  },
});
const [rounds, requests, batch, concurrency] = ['rounds', 'requests', 'batch', 'concurrency'].map((name) =>
  Number(values[name]),
);

const texts = values.lengths === 'equal' ? equalTexts(requests * batch) : sampleTexts(requests * batch);
const groups = Array.from({ length: requests }, (_, i) => texts.slice(i * batch, (i + 1) * batch));

const bundle = await openBundle(BASE_FOLDER);
const tokenizer = Tokenizer.parse(await bundle.readFile('tokenizer.json'));
const runtime = new OrtRuntime();
const session = await runtime.load({ path: bundle.filePath('model.onnx') }, { threads: 1 });
const feeds = [];
for (const group of groups) {
  const { inputIds, attentionMask } = await tokenizer.encodeBatch(group, bundle.manifest.maxTokens);
  feeds.push({ input_ids: inputIds, attention_mask: attentionMask });
}

const host = await startHost();
const idle = { service: memoryOf(host.pid), child: memoryOf(childrenOf(host.pid)[0]) };

const sides = {
  inProcess: async () => {
    const before = process.cpuUsage();
    for (const feed of feeds) await session.run(feed, { outputs: ['embedding'] });
    const used = process.cpuUsage(before);
    return (used.user + used.system) / 1000;
  },
  host: async () => {
    const pids = [host.pid, ...childrenOf(host.pid)];
    const cpu = () => pids.reduce((sum, pid) => sum + cpuMsOf(pid), 0);
    const before = cpu();
    let next = 0;
    const work = async () => {
      while (next < groups.length) await infer(groups[next++]);
    };
    await Promise.all(Array.from({ length: concurrency }, work));
    return cpu() - before;
  },
};

await sides.inProcess();
await sides.host();
const raw = [];
for (let round = 0; round < rounds; round++) {
  const order = round % 2 === 0 ? ['inProcess', 'host'] : ['host', 'inProcess'];
  for (const side of order) {
    const startedAt = performance.now();
    const cpuMs = await sides[side]();
    const seconds = (performance.now() - startedAt) / 1000;
    raw.push({
      round,
      side,
      seconds,
      textsPerSecond: (requests * batch) / seconds,
      cpuMsPerText: cpuMs / requests / batch,
    });
  }
}
const loaded = { service: memoryOf(host.pid), child: memoryOf(childrenOf(host.pid)[0]) };
const figures = (side, field) => raw.filter((row) => row.side === side).map((row) => row[field]);
const perRound = figures('host', 'textsPerSecond').map(
  (value, i) => value / figures('inProcess', 'textsPerSecond')[i],
);
const summary = {
  machine: `${cpus().length} x ${cpus()[0]?.model}`,
  settings: { rounds, requests, batch, concurrency, lengths: values.lengths, maxBatchTokens: 512 },
  loadAverage: loadavg(),
  readyMs: host.readyMs,
  inProcessTextsPerSecond: median(figures('inProcess', 'textsPerSecond')),
  hostTextsPerSecond: median(figures('host', 'textsPerSecond')),
  throughputRatio: { median: median(perRound), least: Math.min(...perRound), most: Math.max(...perRound) },
  cpuMsPerText: {
    inProcess: median(figures('inProcess', 'cpuMsPerText')),
    host: median(figures('host', 'cpuMsPerText')),
  },
  memoryMiB: { idle, loaded },
};
console.log(JSON.stringify(summary, null, 2));
if (values.out) writeFileSync(values.out, `${JSON.stringify({ summary, raw }, null, 2)}\n`);
await host.stop();
await runtime.close();

function infer(group) {
  const bytesContents = group.map((text) => Buffer.from(text));
  const inputs = [
    { name: 'text', datatype: 'BYTES', shape: [BigInt(group.length)], contents: { bytesContents } },
  ];
  return host.client.modelInfer({ modelName: 'banking77', modelVersion: '1', inputs });
}

/** Texts of one length: nothing to gain by sorting, what is left is what the service costs. */
function equalTexts(count) {
  return Array.from(
    { length: count },
    (_, i) => `transfer ${i % 10} of my money to the other card please block it now`,
  );
}

/** Texts of the committed sample, of all tasks in turn. */
function sampleTexts(count) {
  const folder = fileURLToPath(new URL('../../../zoo/data/sample/', import.meta.url));
  const lists = readdirSync(folder)
    .filter((name) => name.endsWith('.test.csv'))
    .sort()
    .map((name) => firstFields(readFileSync(join(folder, name), 'utf8')));
  const all = Array.from({ length: Math.max(...lists.map((list) => list.length)) }, (_, i) =>
    lists.flatMap((list) => (list[i] === undefined ? [] : [list[i]])),
  ).flat();
  return Array.from({ length: count }, (_, i) => all[i % all.length]);
}

/** First field of each line of a CSV file (RFC 4180) after its header. */
function firstFields(csv) {
  const fields = [...csv.matchAll(/(?:^|\n)(?:"((?:[^"]|"")*)"|([^",\n]*)),/g)];
  return fields
    .slice(1)
    .map(([, quoted, plain]) => (quoted === undefined ? plain : quoted.replaceAll('""', '"')));
}

function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  return (sorted[Math.floor((sorted.length - 1) / 2)] + sorted[Math.ceil((sorted.length - 1) / 2)]) / 2;
}
