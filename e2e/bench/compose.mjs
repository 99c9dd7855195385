// Latency of Twin graphs, routing included, beside their base: interleaved runs of the same texts, ratios of medians.
//   npm run bench:compose [-- --rounds 40] [--threads 1] [--lengths 16,64,128] [--parents 8] [--rank 16] [--json] [--keep]
// Parents are experts of the zoo; nothing is fetched. Graphs are built anew, which takes a minute or two. With --keep the raw times and
// the page go to docs/results.
import { mergeWeights, openParent, openProducts } from '@thalamus/composition';
import { OrtRuntime, Tokenizer } from '@thalamus/inference';
import { buildTwinGraph, chooseRanks, decomposeExclusiveVectors, maxRankOf } from '@thalamus/model-merge';
import { buildBertEncoder, encodeModel } from '@thalamus/onnx-graph';
import { createRandom, tensor } from '@thalamus/tensor';
import { openTrainingBase } from '@thalamus/training';
import { readdirSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { format, resolveConfig } from 'prettier';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '40' },
    threads: { type: 'string', default: '1' },
    lengths: { type: 'string', default: '16,64,128' },
    batches: { type: 'string', default: '1,8' },
    parents: { type: 'string', default: '8' },
    rank: { type: 'string' },
    json: { type: 'boolean', default: false },
    keep: { type: 'boolean', default: false },
  },
});
const threads = Number(values.threads);
const WARM_UP = 5;
const PAGE = 'docs/results/compose-bench.md';
const GOALS = { 'one pass, top 2': 1.5, 'two passes, top 2': 2.3 };
const RULE = values.rank ? { kind: 'rank', rank: Number(values.rank) } : { kind: 'fraction', fraction: 0.1 };
const say = (line) => {
  if (!values.json) console.log(line);
};
const runtime = new OrtRuntime();
const readTokenizer = (json) => Tokenizer.parse(json);
const base = await openTrainingBase('zoo/base/minilm-l6', { runtime, threads, readTokenizer });
const names = readdirSync('zoo/experts')
  .filter((name) => name !== 'clinc150')
  .sort()
  .slice(0, Number(values.parents));
const parents = [];
for (const name of names) parents.push(await openParent(`zoo/experts/${name}`, base));
const parameters = { shared: {}, parents: names.map((name) => ({ name, parameters: { weight: 0.3 } })) };
const shared = mergeWeights({ method: 'task_arithmetic', parameters }, base.read.weights, parents);
say(`decomposing ${names.length} parents at rank ${values.rank ?? 'fraction 0.1'} ...`);
const vectors = await decomposeExclusiveVectors(shared, parents, {
  maxRank: maxRankOf(RULE),
  seed: 0,
  multiply: (await openProducts(runtime, threads)).multiply,
});
const mixture = vectors.mixture(chooseRanks(vectors.spectra, RULE));
const random = createRandom(1);
const table = (size) => Float32Array.from({ length: size }, () => 0.05 * random.normal());
const [vocabulary, width] = shared.get('embeddings.word_embeddings.weight').shape;
// The router's numbers decide whose weights a text gets, not how long that takes.
const router = (hasVector) => ({
  parents: parents.length,
  vocabulary,
  buckets: 65_536,
  words: table(vocabulary * parents.length),
  means: table(vocabulary * parents.length),
  pairs: table(65_536 * parents.length),
  bias: table(parents.length),
  sharpness: 1,
  ...(hasVector ? { vector: table(width * parents.length) } : {}),
});
const graphOf = (storage, options, twice = false) =>
  buildTwinGraph({
    encoder: buildBertEncoder(base.read.config, shared, storage),
    mixture,
    router: router(twice),
    abstainBelow: 0,
    parents,
    ...options,
  }).model;
const float32 = { kind: 'float32' };
const int8 = { kind: 'int8', blockSize: 32 };
const GRAPHS = {
  base: () => buildBertEncoder(base.read.config, shared, float32),
  'one pass, top 1': () => graphOf(float32, { top: 1 }),
  'one pass, top 2': () => graphOf(float32, { top: 2 }),
  'one pass, all parents': () => graphOf(float32, {}),
  'two passes, top 2': () => graphOf(float32, { top: 2 }, true),
  'base, int8': () => buildBertEncoder(base.read.config, shared, int8),
  'one pass, top 2, int8': () => graphOf(int8, { top: 2 }),
};
const BASE_OF = (name) => (name.endsWith('int8') ? 'base, int8' : 'base');
const sessions = new Map();
for (const [name, build] of Object.entries(GRAPHS))
  sessions.set(name, await runtime.load({ bytes: encodeModel(build()) }, { threads }));

const results = [];
for (const batch of values.batches.split(',').map(Number))
  for (const length of values.lengths.split(',').map(Number)) {
    const times = new Map([...sessions.keys()].map((name) => [name, []]));
    for (let round = 0; round < Number(values.rounds) + WARM_UP; round++) {
      const ids = BigInt64Array.from({ length: batch * length }, () => BigInt(1_000 + random.below(20_000)));
      const feeds = {
        input_ids: tensor('int64', [batch, length], ids),
        attention_mask: tensor('int64', [batch, length], new BigInt64Array(batch * length).fill(1n)),
      };
      const task = tensor('int64', [batch], new BigInt64Array(batch).fill(-1n));
      for (const [name, session] of sessions) {
        const isBase = name === BASE_OF(name);
        const startedAt = process.hrtime.bigint();
        await session.run(isBase ? feeds : { ...feeds, task }, {
          outputs: [isBase ? 'embedding' : 'logits'],
        });
        if (round >= WARM_UP) times.get(name).push(Number(process.hrtime.bigint() - startedAt) / 1e6);
      }
    }
    const median = (of) => of.toSorted((a, b) => a - b)[Math.floor(of.length / 2)];
    for (const [name, own] of times) {
      const ratio = median(own) / median(times.get(BASE_OF(name)));
      results.push({ graph: name, batch, length, p50Ms: median(own), ratio, times: own });
      say(
        `batch ${batch}, ${length} tokens, ${name}: ${median(own).toFixed(2)} ms, ${ratio.toFixed(2)} of its base`,
      );
    }
  }
const { model } = cpus()[0];
const kept = {
  parents: names,
  rule: RULE,
  threads,
  cpu: model,
  cores: cpus().length,
  load: loadavg()[0],
  results,
};
if (values.json) console.log(JSON.stringify(kept, null, 2));
if (values.keep) {
  const rounded = results.map(({ times, ...own }) => ({
    ...own,
    times: times.map((time) => Number(time.toFixed(3))),
  }));
  const data = 'docs/results/data/compose-bench.json';
  const style = await resolveConfig(data);
  writeFileSync(
    data,
    await format(JSON.stringify({ ...kept, results: rounded }), { ...style, filepath: data }),
  );
  writeFileSync(PAGE, await format(page(kept), { parser: 'markdown', printWidth: 120 }));
}
process.exit(0);

/** Ratios by graph and shape of input, against the goals for one text. */
function page({ cpu, cores, load }) {
  const shapes = [
    ...new Map(results.map(({ batch, length }) => [`${batch} x ${length}`, { batch, length }])),
  ];
  const of = (graph, { batch, length }) =>
    results.find((own) => own.graph === graph && own.batch === batch && own.length === length);
  const rows = Object.keys(GRAPHS).map((graph) => {
    const cells = shapes.map(([, shape]) => of(graph, shape));
    const isBase = graph === BASE_OF(graph);
    const said = cells.map(({ ratio, p50Ms }) => (isBase ? `${p50Ms.toFixed(1)} ms` : ratio.toFixed(2)));
    return `| ${graph} | ${said.join(' | ')} |`;
  });
  const worst = (graph) =>
    Math.max(...results.filter((own) => own.graph === graph && own.batch === 1).map(({ ratio }) => ratio));
  const goals = Object.entries(GOALS).map(
    ([graph, goal]) =>
      `| ${graph} | ${goal} | ${worst(graph).toFixed(2)} | ${worst(graph) <= goal ? 'reached' : 'NOT reached'} |`,
  );
  return `# Speed of a composition

Made by \`npm run bench:compose -- --rank ${RULE.rank ?? '(none)'} --keep\`: graphs of ${names.length} parents of the zoo, routing included, beside the same encoder with the weights of
one expert, in one process and in turns: the same texts, ${values.rounds} rounds of each shape. ${cpu}, ${cores} cores, ${threads} thread a session; load ${load.toFixed(1)} at the end.
Raw times: [\`data/compose-bench.json\`](data/compose-bench.json). Bases are given as the median of a run, the others as the ratio of medians to their base.

| graph | ${shapes.map(([name]) => `${name} tokens`).join(' | ')} |
| --- |${' --- |'.repeat(shapes.length)}
${rows.join('\n')}

One text, the worst of its lengths:

| graph | goal | ratio | |
| --- | --- | --- | --- |
${goals.join('\n')}

Where other work keeps the memory of the machine busy, all ratios are larger.
`;
}
