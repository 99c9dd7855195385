// Merges of ten full fine-tunes under two protocols, and what they are held against.
//   npm run results:compose -- --data DIR [--seeds 0,1,2] [--items 250] [--threads 1] [--only NAME,NAME]   measures
//   npm run results:compose                                                                              draws the page from what was kept
// DIR holds <set>.train.csv and <set>.test.csv; the parents are those of "npm run zoo:full-fine-tunes". What was measured stays in
// docs/results/data/compose.jsonl, one line for each seed, merge and task, so that a run that was ended goes on.
import { OrtRuntime } from '@thalamus/inference';
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { MERGED_TASKS } from './full/merged-tasks.mjs';
import { openZooBase } from './training-base.mjs';
import { fullFolder, openMergedExperts } from './compose/merged-experts.mjs';
import { Measuring } from './compose/measuring.mjs';
import { MERGES } from './compose/merges.mjs';
import { writePage } from './compose/page.mjs';

const { values } = parseArgs({
  options: {
    data: { type: 'string' },
    seeds: { type: 'string', default: '0,1,2' },
    items: { type: 'string', default: '250' },
    threads: { type: 'string', default: '1' },
    only: { type: 'string' },
  },
});
const KEPT = 'docs/results/data/compose.jsonl';
const kept = existsSync(KEPT)
  ? readFileSync(KEPT, 'utf8')
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line))
  : [];
if (values.data) {
  const runtime = new OrtRuntime();
  const base = await openZooBase(runtime, Number(values.threads));
  for (const seed of values.seeds.split(',').map(Number)) await measure(seed, base, runtime);
  await runtime.close();
}
await writePage(kept);
process.exit(0);

async function measure(seed, base, runtime) {
  const wanted = Object.entries(MERGES).filter(
    ([name]) => (!values.only || values.only.split(',').includes(name)) && !isKept(seed, name),
  );
  if (wanted.length === 0) return;
  const experts = await openMergedExperts(base, {
    data: values.data,
    sets: MERGED_TASKS.map(({ set }) => set),
    folderOf: fullFolder(seed),
    items: Number(values.items),
    chooseItems: 60,
  });
  const measuring = new Measuring({ base, runtime, experts, seed, threads: Number(values.threads) });
  for (const [name, merge] of wanted) {
    const startedAt = Date.now();
    const { lines, facts } = await merge(measuring);
    for (const line of lines) {
      const whole = { seed, merge: name, ...line, ...facts };
      kept.push(whole);
      appendFileSync(KEPT, `${JSON.stringify(whole)}\n`);
    }
    console.log(
      `seed ${seed}, ${name}: ${measuring.summary(lines)} ${JSON.stringify(facts)} (${Math.round((Date.now() - startedAt) / 1000)} s)`,
    );
  }
}

function isKept(seed, name) {
  return kept.some((line) => line.seed === seed && line.merge === name);
}
