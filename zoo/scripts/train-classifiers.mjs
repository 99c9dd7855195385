// Trains the zoo's classifiers: for each set a probe, and low-rank branches over the base at each rate. What is best on the
// validation rows, as a host serves it, becomes the expert of the set.
//   npm run zoo:classifiers -- --data DIR [--only SET,SET] [--rates 5e-4,1e-3] [--threads 1]
// DIR holds <set>.train.csv and <set>.test.csv. What was tried stays in node_modules/.cache, so that a run that was
// interrupted goes on; Ctrl-C keeps a checkpoint.
import { bundleDigest, writeBundle } from '@thalamus/bundle';
import { OrtRuntime } from '@thalamus/inference';
import { HYPER_PARAMETERS, trainExpert } from '@thalamus/training';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { chooseExpert } from './classifiers/choose-expert.mjs';
import { readSet } from './classifiers/read-set.mjs';
import { openBase } from './embeddings.mjs';
import { ServedExperts } from './served-experts.mjs';
import { TASKS } from './tasks.mjs';
import { openZooBase } from './training-base.mjs';

const { values } = parseArgs({
  options: {
    data: { type: 'string' },
    only: { type: 'string' },
    rates: { type: 'string', default: '5e-4,1e-3' },
    threads: { type: 'string', default: '1' },
  },
});
if (!values.data) {
  console.error('Name the folder of the CSV files with --data DIR.');
  process.exit(2);
}
const DATE = '2026-11-28';
const WORK = 'node_modules/.cache/thalamus/training';
const RESULTS = 'docs/results/data/zoo-classifiers.json';
const CHECKPOINT_MS = 240_000;
const threads = Number(values.threads);
const tries = ['probe', ...values.rates.split(',').map(Number)];
const sets = TASKS.filter(({ set }) => !values.only || values.only.split(',').includes(set));

const runtime = new OrtRuntime();
const base = await openZooBase(runtime, threads);
const stop = new AbortController();
process.on('SIGINT', () => {
  if (stop.signal.aborted) process.exit(130);
  stop.abort();
  console.error('Ending after this step; Ctrl-C again ends at once, without a checkpoint.');
});

for (const tried of tries) for (const task of sets) if (!stop.signal.aborted) await attempt(task, tried);
if (!stop.signal.aborted) await choose();
await runtime.close();
process.exit(stop.signal.aborted ? 130 : 0);

/** Folder of what one try gave. */
function workOf({ set }, tried) {
  return join(WORK, `${set}-${tried}`);
}

/** Trains one set as a probe, or as branches at one rate; the bundle stays in the cache. */
async function attempt(task, tried) {
  const work = workOf(task, tried);
  if (existsSync(join(work, 'bundle', 'expert.json'))) return;
  mkdirSync(work, { recursive: true });
  const parts = readSet(values.data, task.set);
  const method = tried === 'probe' ? 'probe' : 'lora';
  const settings = method === 'probe' ? HYPER_PARAMETERS.lora : { ...HYPER_PARAMETERS.lora, rate: tried };
  let keptAt = Date.now();
  const startedAt = Date.now();
  const result = await trainExpert(
    { base, parts, method, settings, keepMethod: true, seed: 0, facts: factsOf(task, parts, method) },
    {
      signal: stop.signal,
      checkpointFile: join(work, 'checkpoint.safetensors'),
      checkpointDue: () => Date.now() - keptAt >= CHECKPOINT_MS,
      onCheckpoint: () => {
        keptAt = Date.now();
      },
      onEvent: (event) => {
        if (event.kind !== 'validation') return;
        const { accuracy, logLoss } = event.figures;
        console.log(
          `${task.set} rate ${tried}, step ${event.step}: validation ${accuracy.toFixed(4)}, ${logLoss.toFixed(4)} nats`,
        );
      },
    },
  );
  if (result.kind === 'interrupted') return console.error(`${task.set}: interrupted, a checkpoint is kept.`);
  await writeBundle(join(work, 'bundle'), result.manifest, result.files);
  rmSync(join(work, 'checkpoint.safetensors'), { force: true });
  console.log(`${task.set} ${tried}: trained in ${Math.round((Date.now() - startedAt) / 1000)} s`);
}

function factsOf({ set, expert, description, licence, origin }, parts, method) {
  return {
    name: expert,
    version: method === 'probe' ? '1' : '2',
    description,
    licence,
    trainingData: [{ name: set, licence, origin, rows: parts.train.length }],
    seed: 0,
    date: DATE,
    datasets: { validation: set, test: set },
  };
}

/** Puts the best try of every set in its place, with its figures as it is served, and names it in the index. */
async function choose() {
  const served = new ServedExperts(await openBase(), { runtime, threads });
  const results = existsSync(RESULTS) ? JSON.parse(readFileSync(RESULTS, 'utf8')) : {};
  for (const task of sets) {
    const folders = tries.map((tried) => ({ tried, folder: join(workOf(task, tried), 'bundle') }));
    const { chosen, figures } = await chooseExpert(
      served,
      task,
      folders,
      readSet(values.data, task.set),
      DATE,
    );
    results[task.set] = { chosen, tried: figures };
    console.log(`${task.set}: ${chosen}`, JSON.stringify(figures[chosen]));
  }
  writeFileSync(RESULTS, `${JSON.stringify(results, null, 2)}\n`);
  await writeIndex();
}

/** The part of zoo.json that names the experts. When they have changed, "npm run zoo:verify" says that the router must be fitted again. */
async function writeIndex() {
  const index = JSON.parse(readFileSync('zoo/zoo.json', 'utf8'));
  index.experts = [];
  for (const { set, expert, licence, origin } of TASKS) {
    const folder = `experts/${expert}`;
    if (!existsSync(join('zoo', folder))) continue;
    const sample = {
      train: `data/sample/${set}.train.csv`,
      test: `data/sample/${set}.test.csv`,
      licence,
      origin,
    };
    index.experts.push({ folder, digest: await bundleDigest(join('zoo', folder)), sample });
  }
  writeFileSync('zoo/zoo.json', `${JSON.stringify(index, null, 2)}\n`);
}
