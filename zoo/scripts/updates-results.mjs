// Updates of a base under four tasks: how many answers turn wrong, and what a compatibility adapter and its controls keep of them.
//   npm run results:updates -- --data DIR [--pairs NAME,NAME] [--tasks SET,SET] [--seeds 0] [--only ARM,ARM] [--threads 1]   measures
//   npm run results:updates                                                                        draws the page from what was kept
// DIR holds <set>.train.csv and <set>.test.csv. The new base is MiniLM-L6 with a share of what the shipped masked language model
// changed of it. What was measured stays in docs/results/data/updates.jsonl, one line for each pair, task, seed and arm, so that a
// run that was ended goes on; bases and adapters stay in node_modules/.cache.
import { OrtRuntime } from '@thalamus/inference';
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { ARM_NAMES, PAIRS, UPDATE_TASKS } from './updates/pairs.mjs';
import { Measuring } from './updates/measuring.mjs';
import { openBaseVersion } from './updates/base-versions.mjs';
import { writePage } from './updates/page.mjs';

const { values } = parseArgs({
  options: {
    data: { type: 'string' },
    pairs: { type: 'string', default: Object.keys(PAIRS).join() },
    tasks: { type: 'string', default: Object.keys(UPDATE_TASKS).join() },
    seeds: { type: 'string', default: '0' },
    only: { type: 'string', default: ARM_NAMES.join() },
    threads: { type: 'string', default: '1' },
  },
});
const KEPT = 'docs/results/data/updates.jsonl';
const kept = existsSync(KEPT)
  ? readFileSync(KEPT, 'utf8')
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line))
  : [];
const listed = (flag, known) => {
  const names = values[flag].split(',');
  const odd = names.find((name) => !known.includes(name));
  if (odd === undefined) return names;
  console.error(`--${flag} ${odd}: known are ${known.join(', ')}.`);
  process.exit(2);
};
const pairs = listed('pairs', Object.keys(PAIRS));
const tasks = listed('tasks', Object.keys(UPDATE_TASKS));
const arms = listed('only', ARM_NAMES);
if (values.data) {
  const runtime = new OrtRuntime();
  for (const seed of values.seeds.split(',').map(Number))
    for (const pair of pairs) for (const task of tasks) await measure(pair, task, seed, runtime);
  await runtime.close();
}
await writePage(kept);
process.exit(0);

async function measure(pair, task, seed, runtime) {
  const isKept = (arm) =>
    kept.some((line) => line.pair === pair && line.task === task && line.seed === seed && line.arm === arm);
  const missing = arms.filter((arm) => !isKept(arm));
  if (missing.length === 0) return;
  const threads = Number(values.threads);
  const bases = {
    old: await openBaseVersion(PAIRS[pair].old, runtime, threads),
    new: await openBaseVersion(PAIRS[pair].new, runtime, threads),
  };
  const measuring = new Measuring({ bases, pair, task, seed, data: values.data });
  for (const arm of missing) {
    const startedAt = process.cpuUsage();
    const result = await measuring.measure(arm);
    const { user, system } = process.cpuUsage(startedAt);
    const line = { pair, task, seed, arm, ...result, cpuSeconds: Math.round((user + system) / 1e6) };
    kept.push(line);
    appendFileSync(KEPT, `${JSON.stringify(line)}\n`);
    console.log(
      `${pair}, ${task}, seed ${seed}, ${arm}: ${measuring.summary(line)} (${line.cpuSeconds} s of CPU)`,
    );
  }
}
