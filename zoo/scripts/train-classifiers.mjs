// Trains the zoo's classifiers: for each set a probe, and low-rank branches over the base with each of its settings
// (classifiers/tries.mjs). What is best on the validation rows, as a host serves it, becomes the expert of the set.
//   npm run zoo:classifiers -- --data DIR [--only SET,SET] [--try NAME]... [--threads 1]
// DIR holds <set>.train.csv and <set>.test.csv. What was tried stays in node_modules/.cache, so that a run that was
// interrupted goes on; Ctrl-C keeps a checkpoint. What was recorded of other tries stays, and is chosen among too.
import { bundleDigest, writeBundle } from '@thalamus/bundle';
import { OrtRuntime } from '@thalamus/inference';
import { HYPER_PARAMETERS, trainExpert } from '@thalamus/training';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { chooseExpert } from './classifiers/choose-expert.mjs';
import { readSet } from './classifiers/read-set.mjs';
import { TRIES, triesOf } from './classifiers/tries.mjs';
import { embedAll, openBase } from './embeddings.mjs';
import { ServedExperts } from './served-experts.mjs';
import { TASKS } from './tasks.mjs';
import { openZooBase } from './training-base.mjs';

const { values } = parseArgs({
  options: {
    data: { type: 'string' },
    only: { type: 'string' },
    try: { type: 'string', multiple: true },
    threads: { type: 'string', default: '1' },
  },
});
if (!values.data) {
  console.error('Name the folder of the CSV files with --data DIR.');
  process.exit(2);
}
const unknown = values.try?.find((name) => !(name in TRIES));
if (unknown !== undefined) {
  console.error(
    `--try ${unknown}: zoo/scripts/classifiers/tries.mjs knows ${Object.keys(TRIES).join('; ')}.`,
  );
  process.exit(2);
}
const WORK = 'node_modules/.cache/thalamus/training';
const RESULTS = 'docs/results/data/zoo-classifiers.json';
/** Version and date of the experts whose task names no others. */
const LOW_RANK_VERSION = '2';
const DATE = '2026-11-28';
const CHECKPOINT_MS = 240_000;
const threads = Number(values.threads);
const sets = TASKS.filter(({ set }) => !values.only || values.only.split(',').includes(set));

const runtime = new OrtRuntime();
const base = await openZooBase(runtime, threads);
const stop = new AbortController();
process.on('SIGINT', () => {
  if (stop.signal.aborted) process.exit(130);
  stop.abort();
  console.error('Ending after this step; Ctrl-C again ends at once, without a checkpoint.');
});

for (const task of sets)
  for (const tried of triesOf(task, values.try)) if (!stop.signal.aborted) await attempt(task, tried);
if (!stop.signal.aborted) await choose();
await runtime.close();
process.exit(stop.signal.aborted ? 130 : 0);

/** Folder of what one try gave. */
function workOf({ set }, tried) {
  return join(WORK, `${set}-${tried.replaceAll(/[^a-z0-9.]+/gi, '-')}`);
}

/** Trains one set as a probe, or as branches with the settings of one try; the bundle stays in the cache. */
async function attempt(task, tried) {
  const work = workOf(task, tried);
  if (existsSync(join(work, 'bundle', 'expert.json'))) return;
  mkdirSync(work, { recursive: true });
  const parts = readSet(values.data, task.set);
  const method = tried === 'probe' ? 'probe' : 'lora';
  const settings = { ...HYPER_PARAMETERS.lora, ...TRIES[tried] };
  let keptAt = Date.now();
  const startedAt = Date.now();
  const result = await trainExpert(
    { base, parts, method, settings, keepMethod: true, seed: 0, facts: factsOf(task, parts, method) },
    {
      embed: (texts) => embed(task.set, texts),
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
          `${task.set} ${tried}, step ${event.step}: validation ${accuracy.toFixed(4)}, ${logLoss.toFixed(4)} nats`,
        );
      },
    },
  );
  if (result.kind === 'interrupted') return console.error(`${task.set}: interrupted, a checkpoint is kept.`);
  await writeBundle(join(work, 'bundle'), result.manifest, result.files);
  rmSync(join(work, 'checkpoint.safetensors'), { force: true });
  console.log(`${task.set} ${tried}: trained in ${Math.round((Date.now() - startedAt) / 1000)} s`);
}

/** Vectors of all rows of a set from the base, so that each of its tries need not encode them anew. */
async function embed(set, texts) {
  const features = await embedAll({ encoder: base.encoder, key: base.digest }, texts, `${set}.all`);
  return { features, width: base.read.config.hiddenSize };
}

function factsOf({ set, expert, description, licence, origin, version, date }, parts, method) {
  return {
    name: expert,
    version: method === 'probe' ? '1' : (version ?? LOW_RANK_VERSION),
    description,
    licence,
    trainingData: [{ name: set, licence, origin, rows: parts.train.length }],
    seed: 0,
    date: date ?? DATE,
    datasets: { validation: set, test: set },
  };
}

/** Puts the best try of every set in its place, with its figures as it is served, and names it in the index. */
async function choose() {
  const served = new ServedExperts(await openBase(), { runtime, threads });
  const results = existsSync(RESULTS) ? JSON.parse(readFileSync(RESULTS, 'utf8')) : {};
  for (const task of sets) {
    const tries = triesOf(task, values.try).map((tried) => ({
      tried,
      folder: join(workOf(task, tried), 'bundle'),
    }));
    const { chosen, tried } = await chooseExpert(served, task, {
      tries,
      parts: readSet(values.data, task.set),
      recorded: results[task.set]?.tried,
      date: task.date ?? DATE,
    });
    results[task.set] = { chosen, tried };
    console.log(`${task.set}: ${chosen}`, JSON.stringify(tried[chosen]));
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
      router: `data/sample/${set}.router.csv`,
      test: `data/sample/${set}.test.csv`,
      licence,
      origin,
    };
    index.experts.push({ folder, digest: await bundleDigest(join('zoo', folder)), sample });
  }
  writeFileSync('zoo/zoo.json', `${JSON.stringify(index, null, 2)}\n`);
}
