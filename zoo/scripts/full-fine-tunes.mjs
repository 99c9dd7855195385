// Trains every weight of the base on ten sets, once for each seed: the parents that merges are judged on. They are large and not
// committed; what is trained stays in node_modules/.cache, and a run that was ended goes on where it was.
//   npm run zoo:full-fine-tunes -- --data DIR [--only SET,SET] [--seeds 0,1,2] [--threads 1]
// DIR holds <set>.train.csv and <set>.test.csv.
import { writeBundle } from '@thalamus/bundle';
import { OrtRuntime } from '@thalamus/inference';
import { HYPER_PARAMETERS, trainExpert } from '@thalamus/training';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { readSet } from './classifiers/read-set.mjs';
import { fullFineTune, MERGED_TASKS } from './full/merged-tasks.mjs';
import { openZooBase } from './training-base.mjs';

const { values } = parseArgs({
  options: {
    data: { type: 'string' },
    only: { type: 'string' },
    seeds: { type: 'string', default: '0,1,2' },
    threads: { type: 'string', default: '1' },
  },
});
if (!values.data) {
  console.error('Name the folder of the CSV files with --data DIR.');
  process.exit(2);
}
const only = values.only?.split(',');
const unknown = only?.find((name) => !MERGED_TASKS.some(({ set }) => set === name));
if (unknown !== undefined) {
  console.error(`--only ${unknown}: known are ${MERGED_TASKS.map(({ set }) => set).join(', ')}.`);
  process.exit(2);
}
const CHECKPOINT_MS = 120_000;
const runtime = new OrtRuntime();
const base = await openZooBase(runtime, Number(values.threads));
const stop = new AbortController();
process.on('SIGINT', () => {
  if (stop.signal.aborted) process.exit(130);
  stop.abort();
  console.error('Ending after this step; Ctrl-C again ends at once, without a checkpoint.');
});
for (const seed of values.seeds.split(',').map(Number))
  for (const task of MERGED_TASKS)
    if (!stop.signal.aborted && (!only || only.includes(task.set))) await train(task, seed);
await runtime.close();
process.exit(stop.signal.aborted ? 130 : 0);

async function train(task, seed) {
  const folder = fullFineTune(task.set, seed);
  if (existsSync(join(folder, 'expert.json'))) return;
  mkdirSync(join(folder, '..'), { recursive: true });
  const parts = readSet(values.data, task.set);
  const startedAt = Date.now();
  let keptAt = startedAt;
  const result = await trainExpert(
    {
      base,
      parts,
      method: 'full',
      settings: HYPER_PARAMETERS.full,
      keepMethod: true,
      seed,
      facts: {
        name: task.expert,
        version: '1',
        description: task.description,
        licence: task.licence,
        trainingData: [
          { name: task.set, licence: task.licence, origin: task.origin, rows: parts.train.length },
        ],
        seed,
        date: new Date().toISOString().slice(0, 10),
        datasets: { validation: task.set, test: task.set },
      },
    },
    {
      signal: stop.signal,
      checkpointFile: `${folder}.checkpoint`,
      checkpointDue: () => Date.now() - keptAt >= CHECKPOINT_MS,
      onCheckpoint: () => {
        keptAt = Date.now();
      },
    },
  );
  if (result.kind === 'interrupted') return console.error(`${task.set}: interrupted, a checkpoint is kept.`);
  await writeBundle(folder, result.manifest, result.files);
  rmSync(`${folder}.checkpoint`, { force: true });
  const { validation, test } = result.trained;
  console.log(
    `${task.set} seed ${seed}: validation ${validation.accuracy.toFixed(4)}, test ${test.accuracy.toFixed(4)} (probe ${result.probe.test.accuracy.toFixed(4)}), ${Math.round((Date.now() - startedAt) / 1000)} s`,
  );
}
