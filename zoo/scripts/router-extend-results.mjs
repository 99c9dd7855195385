// How well a router takes one more model with a head alone, beside a router that is fitted anew: leaves each model of a public table out in
// turn, fits the others, adds the one left out on 100, 500 and 2,000 prompts, and writes docs/results/router-extend.md with its raw data.
//   npm run results:router-extend -- --data DIR [--table llmrouter9] [--seed 1]     (DIR holds <table>.jsonl.gz)
// Encoder fast, one setting of each kind of heads for all; the test part is read for the figures alone. What is measured is kept in
// node_modules/.cache/thalamus/router-extend, and a run goes on from there: remove that folder once the code has changed.
import { OrtRuntime } from '@thalamus/inference';
import { predictLosses } from '@thalamus/routing';
import { createRandom } from '@thalamus/tensor';
import {
  averageOf,
  chosenColumn,
  extendedBy,
  FEATURE_SETTINGS,
  featuresOf,
  fitFeatures,
  foldsOf,
  LEARNERS,
  lossMatrix,
  preparePrompts,
  readRoutingTable,
  ROUTER_ENCODERS,
  splitParts,
  splitRule,
  withGuesses,
  wordsOf,
} from '@thalamus/training';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { extendPage } from './router/extend-page.mjs';
import { openZooBase } from './training-base.mjs';

const { values } = parseArgs({
  options: {
    data: { type: 'string' },
    table: { type: 'string', default: 'llmrouter9' },
    seed: { type: 'string', default: '1' },
  },
});
if (!values.data) {
  console.error('Name the folder of the tables with --data DIR.');
  process.exit(2);
}
const CACHE = 'node_modules/.cache/thalamus/router-extend';
const COUNTS = [100, 500, 2000];
/** Draws of the prompts: fewer prompts, more chance. */
const DRAWS = { 100: 3, 500: 2, 2000: 1 };
/** Setting of each learner: one of the middle. */
const SETTINGS = { ridge: 2, nearest: 2, gated: 0, mlp: 1 };
const COVERAGE = 0.9;
const FOLDS = 5;

const seed = Number(values.seed);
const runtime = new OrtRuntime();
const base = await openZooBase(runtime, 1);
const table = await readRoutingTable(join(values.data, `${values.table}.jsonl.gz`));
const rule = splitRule(table.rows, { seed, validation: 0.1, test: 0.2 });
const parts = splitParts(table.rows, rule);
const complete = ({ losses }) => losses.every((loss) => !Number.isNaN(loss));
const fit = table.rows.filter((_, at) => parts[at] !== 'test');
const test = table.rows.filter((row, at) => parts[at] === 'test' && complete(row));
const kinds = ROUTER_ENCODERS.fast;
const prepared = (rows) =>
  preparePrompts(
    base,
    rows.map(({ prompt }) => prompt),
    kinds,
  );
const known = await prepared(fit);
const spec = fitFeatures(known, wordsOf(base), { ...FEATURE_SETTINGS, kinds, seed });
const features = featuresOf(known, spec);
const asked = featuresOf(await prepared(test), spec);
const dimension = features.length / fit.length;
const folds = foldsOf(fit, rule, FOLDS);
const models = table.models.map(({ expert }) => expert);
await runtime.close();
mkdirSync(CACHE, { recursive: true });

const runs = [];
const whole = kept('all', () =>
  judged(
    headsOf(models.map((_, k) => k)),
    models.map((_, k) => k),
  ),
);
for (const [left, model] of models.entries()) runs.push(kept(model, () => leaveOut(left, model)));
const results = {
  table: table.set,
  seed,
  encoder: 'fast',
  rows: { fit: fit.length, test: test.length },
  counts: COUNTS,
  draws: DRAWS,
  retrained: whole,
  models: runs,
};
mkdirSync('docs/results/data', { recursive: true });
writeFileSync('docs/results/data/router-extend.json', `${JSON.stringify(results)}\n`);
writeFileSync('docs/results/router-extend.md', extendPage(results));
process.exit(0);

/** What is in the folder of kept figures, else what is measured now. */
function kept(name, measure) {
  const path = join(CACHE, `${values.table}-${seed}-${name}.json`);
  if (!existsSync(path)) writeFileSync(path, JSON.stringify(measure()));
  console.log(`${name}: ${path}`);
  return JSON.parse(readFileSync(path, 'utf8'));
}

/** Heads over some of the models, by kind, and their average. */
function headsOf(columns) {
  const losses = columnsOf(lossMatrix(fit, models.length), columns);
  const rows = {
    features,
    dimension,
    losses: withGuesses(losses, columns.length),
    candidates: columns.length,
  };
  const single = LEARNERS.map((learner) => [learner.name, learner.fit(rows, seed)[SETTINGS[learner.name]]]);
  return { ...Object.fromEntries(single), average: averageOf(single.map(([, heads]) => heads)) };
}

function columnsOf(losses, columns) {
  const count = losses.length / models.length;
  return Float64Array.from(
    { length: count * columns.length },
    (_, at) => losses[Math.floor(at / columns.length) * models.length + columns[at % columns.length]],
  );
}

/** Regret of heads of each kind on the test part against the best of all models, and how often the last candidate is chosen. */
function judged(heads, columns) {
  return Object.fromEntries(Object.entries(heads).map(([kind, own]) => [kind, regretOf(own, columns)]));
}

/** `coverage`: share of the rows whose measured loss of the last candidate the interval holds. */
function regretOf(heads, columns, { lower, upper } = { lower: 0, upper: 0 }) {
  const predicted = predictLosses(heads, asked);
  const sums = { regret: 0, last: 0, coverage: 0 };
  test.forEach(({ losses }, row) => {
    const own = predicted.subarray(row * columns.length, (row + 1) * columns.length);
    const chosen = own.indexOf(Math.min(...own));
    sums.regret += losses[columns[chosen]] - Math.min(...losses);
    if (chosen === columns.length - 1) sums.last += 1;
    const beyond = losses[columns.at(-1)] - own.at(-1);
    if (beyond >= lower && beyond <= upper) sums.coverage += 1;
  });
  return Object.fromEntries(Object.entries(sums).map(([name, sum]) => [name, sum / test.length]));
}

function leaveOut(left, model) {
  const others = models.map((_, k) => k).filter((k) => k !== left);
  const columns = [...others, left];
  const heads = headsOf(others);
  const without = judged(heads, others);
  const extended = {};
  for (const count of COUNTS)
    extended[count] = Array.from({ length: DRAWS[count] }, (_, draw) => {
      const rows = drawn(left, count, draw);
      const own = {
        features: picked(rows),
        losses: Float64Array.from(rows, (row) => fit[row].losses[left]),
        folds: Uint8Array.from(rows, (row) => folds[row]),
      };
      const columnOf = Object.fromEntries(LEARNERS.map(({ name }) => [name, chosenColumn(heads[name], own)]));
      return Object.fromEntries(
        Object.entries(heads).map(([kind, before]) => {
          const added = kind === 'average' ? LEARNERS.map(({ name }) => columnOf[name]) : [columnOf[kind]];
          const after = extendedBy(before, added, { losses: own.losses, coverage: COVERAGE });
          const { regret, last, coverage } = regretOf(after.heads, columns, after.interval);
          return [kind, { regret, last, coverage, meanError: after.meanError }];
        }),
      );
    });
  return { model, without, extended };
}

function drawn(left, count, draw) {
  const usable = fit.flatMap(({ losses }, row) => (Number.isNaN(losses[left]) ? [] : [row]));
  return createRandom(1000 * seed + 10 * left + draw)
    .shuffle(usable)
    .slice(0, count)
    .sort((a, b) => a - b);
}

function picked(rows) {
  const some = new Float32Array(rows.length * dimension);
  rows.forEach((row, at) =>
    some.set(features.subarray(row * dimension, (row + 1) * dimension), at * dimension),
  );
  return some;
}
