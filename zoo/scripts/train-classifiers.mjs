// Trains the zoo's classifiers as low-rank branches over the base and keeps, for each set, what is best on its validation rows:
// one of the learning rates, or the probe where no branches are better.
//   npm run zoo:classifiers -- --data DIR [--only SET,SET] [--rates 5e-4,1e-3] [--threads 1] [--out DIR]
// DIR holds <set>.train.csv and <set>.test.csv. What was tried stays in node_modules/.cache, so that a run that was
// interrupted goes on; Ctrl-C keeps a checkpoint.
import { openBundle, writeBundle } from '@thalamus/bundle';
import { OrtRuntime, Tokenizer } from '@thalamus/inference';
import { HYPER_PARAMETERS, openTrainingBase, readCsv, rowUse, trainExpert } from '@thalamus/training';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { SPLIT_RULE, TASKS } from './tasks.mjs';

const { values } = parseArgs({
  options: {
    data: { type: 'string' },
    only: { type: 'string' },
    rates: { type: 'string', default: '5e-4,1e-3' },
    threads: { type: 'string', default: '1' },
    out: { type: 'string', default: 'zoo/experts' },
  },
});
if (!values.data) {
  console.error('Name the folder of the CSV files with --data DIR.');
  process.exit(2);
}
const DATE = '2026-11-28';
const WORK = 'node_modules/.cache/thalamus/training';
const CHECKPOINT_MS = 240_000;
const rates = values.rates.split(',').map(Number);
const sets = TASKS.filter(({ set }) => !values.only || values.only.split(',').includes(set));

const runtime = new OrtRuntime();
const base = await openTrainingBase('zoo/base/minilm-l6', {
  runtime,
  threads: Number(values.threads),
  readTokenizer: (json) => Tokenizer.parse(json),
});
const stop = new AbortController();
process.on('SIGINT', () => {
  if (stop.signal.aborted) process.exit(130);
  stop.abort();
  console.error('Ending after this step; Ctrl-C again ends at once, without a checkpoint.');
});

for (const rate of rates) for (const task of sets) if (!stop.signal.aborted) await attempt(task, rate);
if (!stop.signal.aborted) for (const task of sets) await keepBest(task);
await runtime.close();
process.exit(stop.signal.aborted ? 130 : 0);

/** Trains one set at one rate; the bundle and its figures stay in the cache. */
async function attempt(task, rate) {
  const work = join(WORK, `${task.set}-${rate}`);
  if (existsSync(join(work, 'figures.json'))) return;
  mkdirSync(work, { recursive: true });
  const read = (part) => {
    const file = `${task.set}.${part}.csv`;
    return readCsv(readFileSync(join(values.data, file)), file);
  };
  const rows = read('train');
  const of = (use) => rows.filter(({ text }) => rowUse(text, SPLIT_RULE) === use);
  const parts = { train: of('expert'), validation: of('validation'), test: read('test') };
  let keptAt = Date.now();
  const startedAt = Date.now();
  const result = await trainExpert(
    {
      base,
      parts,
      method: 'lora',
      settings: { ...HYPER_PARAMETERS.lora, rate },
      seed: 0,
      facts: {
        name: task.expert,
        version: '2',
        description: task.description,
        licence: task.licence,
        trainingData: [
          { name: task.set, licence: task.licence, origin: task.origin, rows: parts.train.length },
        ],
        seed: 0,
        date: DATE,
        datasets: { validation: task.set, test: task.set },
      },
    },
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
          `${task.set} rate ${rate}, step ${event.step}: validation ${accuracy.toFixed(4)}, ${logLoss.toFixed(4)} nats`,
        );
      },
    },
  );
  if (result.kind === 'interrupted') return console.error(`${task.set}: interrupted, a checkpoint is kept.`);
  await writeBundle(join(work, 'bundle'), result.manifest, result.files);
  const figures = { rate, method: result.method, probe: result.probe, lora: result.trained };
  writeFileSync(join(work, 'figures.json'), `${JSON.stringify(figures, null, 2)}\n`);
  rmSync(join(work, 'checkpoint.safetensors'), { force: true });
  console.log(
    `${task.set} rate ${rate}: probe ${figures.probe.test.accuracy.toFixed(4)}, lora ${figures.lora.test.accuracy.toFixed(4)} on test, ${result.method} ships (${Math.round((Date.now() - startedAt) / 1000)} s)`,
  );
}

/** Puts the attempt that is best on the validation rows in its place; the probe where none is better. */
async function keepBest(task) {
  const tried = rates
    .map((rate) => join(WORK, `${task.set}-${rate}`))
    .map((work) => ({ work, ...JSON.parse(readFileSync(join(work, 'figures.json'), 'utf8')) }));
  const score = ({ lora: { validation } }) => [validation.accuracy, -validation.logLoss];
  const [best] = tried.toSorted((a, b) => score(b)[0] - score(a)[0] || score(b)[1] - score(a)[1]);
  const bundle = join(best.work, 'bundle');
  const { manifest } = await openBundle(bundle);
  const folder = join(values.out, task.expert);
  // A probe that was better before is the same probe now: its bundle stays as it is.
  if (manifest.kind !== 'probe' || !existsSync(folder)) {
    rmSync(folder, { recursive: true, force: true });
    cpSync(bundle, folder, { recursive: true });
  }
  console.log(`${task.set}: ${manifest.kind}, rate ${best.rate}`);
}
