// Trains routers among the masked language models of the zoo and judges them on prompts of test files that nothing has read.
//   npm run zoo:masked-lm-prompts -- --data DIR --out DIR2
//   npx thalamus router table --experts zoo/language-models/... --prompts DIR2/masked-lm.train.jsonl --masks 1 --out TRAIN --seed 1
//   npx thalamus router table --experts zoo/language-models/... --prompts DIR2/masked-lm.test.jsonl --out TEST --seed 1
//   npm run results:masked-lm -- --train TRAIN --test TEST       (--seeds, --encoders)
// Everything that is chosen is chosen on the table TRAIN; TEST is read once for each router. Writes docs/results/masked-lm-router.md and
// docs/results/data/masked-lm-router.json.
import { digestOf, openRouterBundle, writeRouterBundle } from '@thalamus/bundle';
import { OrtRuntime } from '@thalamus/inference';
import { costOf } from '@thalamus/routing';
import {
  baselinePredictions,
  choiceReport,
  evaluateRouter,
  featuresOf,
  fitSoftmaxRegression,
  lossMatrix,
  openedRouter,
  preparePrompts,
  readRoutingTable,
  ROUTER_ENCODERS,
  routerBundle,
  trainRouter,
  tryRouter,
} from '@thalamus/training';
import { createRandom } from '@thalamus/tensor';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { gunzipSync } from 'node:zlib';
import prettier from 'prettier';
import { embedAll } from './embeddings.mjs';
import { advantageOf, figuresOf, leastOf, meanOf } from './router/choice-figures.mjs';
import { nearestDescriptions, wordDescriptions } from './router/description-selectors.mjs';
import { maskedLmPage } from './router/masked-lm-page.mjs';
import { openZooBase } from './training-base.mjs';

const { values } = parseArgs({
  options: {
    train: { type: 'string' },
    test: { type: 'string' },
    seeds: { type: 'string', default: '1,2,3' },
    encoders: { type: 'string', default: 'fast,accurate' },
  },
});
if (!values.train || !values.test) {
  console.error('Name the measured tables with --train TABLE and --test TABLE.');
  process.exit(2);
}
const CACHE = 'node_modules/.cache/thalamus/masked-lm-results';
/** Share of the train table whose documents stop what is fitted in steps. */
const VALIDATION = 0.1;
/** Weights of the size of a model, nats for its whole scale. */
const LAMBDAS = [0, ...Array.from({ length: 11 }, (_, at) => 2 ** (at - 6))];
/** Most that choices may lose for saving FLOPs, relative to a weight of 0. */
const MOST_LOST = 0.01;

const base = await openZooBase(new OrtRuntime(), 2);
const graph = base.manifest.files.find(({ path }) => path === 'model.onnx').sha256;
const [train, test] = [await readRoutingTable(values.train), await readRoutingTable(values.test)];
const models = test.models.length;
const descriptions = readDescriptions(test.models.map(({ name }) => name));
const masks = readMasks(values.test);
/** As many masks as the train table has: what intervals are fitted on. */
const oneMask = {
  ...test,
  rows: test.rows.map((row) => ({ ...row, losses: someMasks([row], 0, 1) })),
};

const rowsByText = new Map();
for (const table of [train, test]) {
  const texts = table.rows.map(({ prompt }) => prompt);
  const vectors = await embedAll({ encoder: base.encoder, key: graph }, texts, table.set);
  texts.forEach((text, row) => rowsByText.set(text, { vectors, row, width: vectors.length / texts.length }));
}
/** Vectors of the base, each made once. */
const embed = (texts) => {
  const { width } = rowsByText.get(texts[0]);
  const features = new Float32Array(texts.length * width);
  texts.forEach((text, at) => {
    const { vectors, row } = rowsByText.get(text);
    features.set(vectors.subarray(row * width, (row + 1) * width), at * width);
  });
  return Promise.resolve({ features, width });
};

const runs = [];
for (const encoder of values.encoders.split(','))
  for (const seed of values.seeds.split(',').map(Number)) {
    const run = await kept(encoder, seed);
    runs.push(run);
    const { router, labelThenBest, nearestDescription } = run.ways;
    console.log(
      `${encoder} seed ${seed}: ${run.choice.chosen}; top-1 ${router.within[0].toFixed(4)}, closed ${router.closed.toFixed(4)} (domain label ${labelThenBest.closed.toFixed(4)}), descriptions ${nearestDescription.within[0].toFixed(4)}, FLOPs saved ${run.saving.saved.toFixed(4)} at ${run.saving.lost.toFixed(4)} more loss, intervals hold ${run.coverage.toFixed(4)}`,
    );
  }
const facts = {
  models: test.models.map(({ expert, flopsPerToken }, k) => ({
    expert,
    flopsPerToken,
    loss: meanOf(test.rows.map(({ losses }) => losses[k])),
  })),
  train: { n: train.rows.length, documents: documentsOf(train) },
  test: { n: test.rows.length, documents: documentsOf(test) },
};
writeFileSync(
  'docs/results/data/masked-lm-router.json',
  await prettier.format(JSON.stringify({ ...facts, runs }), {
    ...(await prettier.resolveConfig('docs')),
    parser: 'json',
  }),
);
writeFileSync('docs/results/masked-lm-router.md', await maskedLmPage(facts, runs));
process.exit(0);

/** What was measured of a router before, or is now; a run that was ended goes on from there. Remove CACHE once the code has changed. */
async function kept(encoder, seed) {
  const key = digestOf(Buffer.from([train.digest, test.digest, graph, encoder, seed].join())).slice(7, 23);
  const path = join(CACHE, `${encoder}-${seed}-${key}.json`);
  if (!existsSync(path)) {
    mkdirSync(CACHE, { recursive: true });
    writeFileSync(path, JSON.stringify(await judge(encoder, seed)));
  }
  return JSON.parse(readFileSync(path, 'utf8'));
}

/** Trains a router on the train table and judges it and the other ways to choose on the test table. */
async function judge(encoder, seed) {
  const training = { table: train, base, encoder, seed, validation: VALIDATION, test: 0 };
  const trained = await trainRouter(training, { embed });
  const folder = mkdtempSync(join(tmpdir(), 'thalamus-masked-lm-'));
  try {
    const { manifest, files } = routerBundle(trained, train, base, {
      name: `masked-lm-${encoder}`,
      version: '1',
      task: 'fill-mask',
      date: new Date().toISOString().slice(0, 10),
    });
    await writeRouterBundle(join(folder, 'router'), manifest, files);
    const router = await openedRouter(await openRouterBundle(join(folder, 'router')));
    const evaluation = { router, base, table: test, split: 'all' };
    const { trial, vectors } = await tryRouter(evaluation, { embed });
    const { coverage, regret } = await evaluateRouter(evaluation, { embed });
    const alike = await evaluateRouter({ ...evaluation, table: oneMask }, { embed });
    const held = { coverage, coverageOneMask: alike.coverage };
    return {
      encoder,
      seed,
      choice: choiceReport(trained),
      ...held,
      regret,
      ...(await compare(trained, trial, vectors, encoder, seed)),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function compare(trained, trial, vectors, encoder, seed) {
  const prompts = train.rows.map(({ prompt }) => prompt);
  const prepared = await preparePrompts(base, prompts, ROUTER_ENCODERS[encoder], { embed });
  const features = featuresOf(prepared, trained.spec);
  const fitted = { rows: train.rows, features, dimension: features.length / train.rows.length };
  const measured = lossMatrix(trial.rows, models);
  const [first, second] = [someMasks(trial.rows, 0, 2), someMasks(trial.rows, 2, 4)];
  const judged = {
    measured,
    models,
    single: trained.bestSingle,
    documents: trial.rows.map(({ doc }) => doc),
    seed,
  };
  const predictions = baselinePredictions(fitted, vectors, models, seed);
  const random = createRandom(seed);
  const texts = trial.rows.map(({ prompt }) => prompt);
  const all = (k) => new Int32Array(trial.rows.length).fill(k);
  const chosen = {
    router: leastOf(trial.predicted, models),
    random: Int32Array.from(trial.rows, () => random.below(models)),
    majority: all(trained.majority),
    bestSingle: all(trained.bestSingle),
    wordDescription: wordDescriptions(descriptions, texts, seed),
    nearestDescription: await nearestDescriptions(base.encoder, descriptions, (await embed(texts)).features),
    classifiedDomain: domainThenBest(fitted, vectors),
    labelThenBest: leastOf(predictions.labelThenBest, models),
    knn: leastOf(predictions.knn, models),
    tfidfKnn: leastOf(predictions.tfidfKnn, models),
    oracle: leastOf(measured, models),
    twoMasks: leastOf(first, models),
  };
  const ways = Object.fromEntries(
    Object.entries(chosen).map(([name, own]) => [name, figuresOf(own, judged)]),
  );
  const over = Object.fromEntries(
    ['bestSingle', 'classifiedDomain', 'labelThenBest', 'knn', 'tfidfKnn'].map((name) => [
      name,
      advantageOf(chosen.router, chosen[name], judged),
    ]),
  );
  return {
    single: test.models[trained.bestSingle].expert,
    ways,
    over,
    ceiling: figuresOf(chosen.twoMasks, { ...judged, measured: second }),
    routerOnSecond: figuresOf(chosen.router, { ...judged, measured: second }),
    saving: savingOf(trained, trial, measured),
    domains: domainsOf(trial.rows, chosen, measured),
  };
}

/** The model with the least mean loss of the domain that a linear classifier of the router's vectors takes a prompt for. */
function domainThenBest(fitted, asked) {
  const names = [...new Set(train.rows.map(({ task }) => task))].sort();
  const head = fitSoftmaxRegression(
    {
      features: fitted.features,
      width: fitted.dimension,
      classes: Int32Array.from(train.rows, ({ task }) => names.indexOf(task)),
      classCount: names.length,
    },
    { l2: 1e-4 },
  );
  const best = names.map((name) => {
    const own = train.rows.filter(({ task }) => task === name);
    const means = train.models.map((_, k) => meanOf(own.map(({ losses }) => losses[k])));
    return means.indexOf(Math.min(...means));
  });
  const { dimension } = asked;
  return Int32Array.from(asked.rows, (_, row) => {
    const logits = names.map((_, name) => {
      let sum = head.bias[name];
      for (let i = 0; i < dimension; i++)
        sum += head.weights[name * dimension + i] * asked.features[row * dimension + i];
      return sum;
    });
    return best[logits.indexOf(Math.max(...logits))];
  });
}

/**
 * FLOPs saved beside a weight of 0 and loss added, on the test rows, by the largest weight of size that adds at most MOST_LOST on the
 * rows of the train table, which were predicted by heads that had not seen them.
 */
function savingOf(trained, trial, measured) {
  const flops = test.models.map(({ flopsPerToken }) => flopsPerToken);
  const costs = flops.map((value) => costOf(value, trial.manifest.costScales.size));
  const at = (predicted, losses, lambda) => {
    const chosen = leastOf(
      predicted.map((loss, index) => loss + lambda * costs[index % models]),
      models,
    );
    return {
      lambda,
      loss: meanOf(Float64Array.from(chosen, (k, row) => losses[row * models + k])),
      flops: meanOf(Float64Array.from(chosen, (k) => flops[k])),
    };
  };
  const held = Float64Array.from(trained.riskRows.predicted);
  const [free, ...dearer] = LAMBDAS.map((lambda) => at(held, trained.riskRows.measured, lambda));
  const lambda = Math.max(
    0,
    ...dearer.filter(({ loss }) => loss <= (1 + MOST_LOST) * free.loss).map((point) => point.lambda),
  );
  const curve = LAMBDAS.map((own) => at(Float64Array.from(trial.predicted), measured, own));
  const [from, to] = [curve[0], curve.find((point) => point.lambda === lambda)];
  return { lambda, saved: 1 - to.flops / from.flops, lost: to.loss / from.loss - 1, curve };
}

function domainsOf(rows, chosen, measured) {
  const names = [...new Set(rows.map(({ task }) => task))].sort();
  return names.map((domain) => {
    const own = rows.flatMap(({ task }, row) => (task === domain ? [row] : []));
    const lossBy = (choices) => meanOf(own.map((row) => measured[row * models + choices[row]]));
    return {
      domain,
      n: own.length,
      router: lossBy(chosen.router),
      single: lossBy(chosen.bestSingle),
      oracle: lossBy(chosen.oracle),
    };
  });
}

/** Losses of each mask of each prompt of a table, by the id of the prompt: [models][masks]. */
function readMasks(path) {
  const lines = gunzipSync(readFileSync(path)).toString().trim().split('\n').slice(1);
  return new Map(lines.map((line) => JSON.parse(line)).map(({ id, maskLosses }) => [id, maskLosses]));
}

/** Mean losses of some of the masks: [prompts, models]. */
function someMasks(rows, from, to) {
  return Float64Array.from(rows.flatMap(({ id }) => masks.get(id).map((own) => meanOf(own.slice(from, to)))));
}

function readDescriptions(names) {
  const zoo = 'zoo/language-models';
  const known = new Map(
    readdirSync(zoo).map((folder) => {
      const { name, description } = JSON.parse(readFileSync(join(zoo, folder, 'expert.json'), 'utf8'));
      return [name, description];
    }),
  );
  return names.map((name) => known.get(name.replace(/^expert:/, '')) ?? name);
}

function documentsOf({ rows }) {
  return new Set(rows.map(({ doc }) => doc)).size;
}
