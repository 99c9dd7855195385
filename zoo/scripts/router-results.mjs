// Trains routers on public tables of measured prompts, judges them on their test parts, and writes docs/results/router.md.
//   npm run results:router -- --data DIR     (DIR holds <table>.jsonl.gz; --tables, --encoders and --seeds name less)
//   npm run results:router                   (draws the page and its pictures from docs/results/data/router.jsonl)
// Learners and settings are chosen on train and validation rows; the test part of a table is read once for each router, by
// `judge` below. What is measured is kept in node_modules/.cache/thalamus/router-results by table, base, encoder and seed, and a
// run goes on from there: remove that folder once the code has changed.
import { digestOf, openRouterBundle, writeRouterBundle } from '@thalamus/bundle';
import { OrtRuntime, Tokenizer } from '@thalamus/inference';
import {
  choiceReport,
  evaluateRouter,
  openedRouter,
  openTrainingBase,
  readRoutingTable,
  routerBundle,
  trainRouter,
} from '@thalamus/training';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { embedAll } from './embeddings.mjs';
import { drawResults, keepRuns, readRuns } from './router/kept-results.mjs';

const CACHE = 'node_modules/.cache/thalamus/router-results';
const { values } = parseArgs({
  options: {
    data: { type: 'string' },
    tables: { type: 'string', default: 'routellm2_gsm8k,llmrouter9,routellm2_mmlu' },
    encoders: { type: 'string', default: 'fast,accurate,cascade' },
    seeds: { type: 'string', default: '1,2,3' },
    // Writes the page from what is kept, and measures nothing.
    kept: { type: 'boolean', default: false },
  },
});
if (!values.data) {
  await drawResults(readRuns());
  console.log(
    'Drawn from the raw figures that are kept; measure anew with --data DIR, the folder of the public tables.',
  );
  process.exit(0);
}
const runtime = new OrtRuntime();
const base = await openTrainingBase('zoo/base/minilm-l6', {
  runtime,
  readTokenizer: (json) => Tokenizer.parse(json),
  threads: 2,
});
const graph = base.manifest.files.find(({ path }) => path === 'model.onnx').sha256;
mkdirSync(CACHE, { recursive: true });

/** Vectors of the base for texts of a table, which are embedded once. */
async function embedderOf(table) {
  const texts = table.rows.map(({ prompt }) => prompt);
  const all = await embedAll({ encoder: base.encoder, key: graph }, texts, table.set);
  const width = all.length / texts.length;
  const rowOf = new Map(texts.map((text, row) => [text, row]));
  return (wanted) => {
    const features = new Float32Array(wanted.length * width);
    wanted.forEach((text, at) => {
      const row = rowOf.get(text);
      features.set(all.subarray(row * width, (row + 1) * width), at * width);
    });
    return Promise.resolve({ features, width });
  };
}

/** Trains one router and judges it on the test part. */
async function judge(table, encoder, seed, embed) {
  const trained = await trainRouter({ table, base, encoder, seed, validation: 0.1, test: 0.2 }, { embed });
  const folder = join(CACHE, `bundle-${process.pid}`);
  const { manifest, files } = routerBundle(trained, table, base, {
    name: `${encoder}-router`,
    version: '1',
    task: 'text-generation',
    date: new Date().toISOString().slice(0, 10),
  });
  await writeRouterBundle(folder, manifest, files);
  try {
    const router = await openedRouter(await openRouterBundle(folder));
    const test = await evaluateRouter({ router, base, table, split: 'test' }, { embed });
    return { table: table.set, encoder, seed, counts: trained.counts, choice: choiceReport(trained), test };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const runs = [];
for (const name of values.tables.split(',')) {
  const table = await readRoutingTable(join(values.data, `${name}.jsonl.gz`));
  let embed;
  for (const encoder of values.encoders.split(','))
    for (const seed of values.seeds.split(',').map(Number)) {
      const key = digestOf(Buffer.from([table.digest, graph, encoder, seed].join())).slice(7, 23);
      const path = join(CACHE, `${name}-${encoder}-${seed}-${key}.json`);
      if (!existsSync(path)) {
        if (values.kept) continue;
        embed ??= await embedderOf(table);
        writeFileSync(path, JSON.stringify(await judge(table, encoder, seed, embed)));
      }
      const run = JSON.parse(readFileSync(path, 'utf8'));
      runs.push(run);
      const { quality, baselines, regret, ece, n } = run.test;
      console.log(
        `${name} ${encoder} seed ${seed}: ${run.choice.chosen}; test n ${n}, quality ${quality.toFixed(4)}, best single ${baselines.bestSingle.toFixed(4)}, task label ${baselines.labelThenBest.toFixed(4)}, regret ${regret.toFixed(4)}, ECE ${ece.toFixed(4)}`,
      );
    }
}
keepRuns(runs);
await drawResults(runs);
process.exit(0);
