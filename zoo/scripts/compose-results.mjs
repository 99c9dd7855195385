// Merges of ten full fine-tunes under two protocols, and what they are held against.
//   npm run results:compose -- --data DIR [--seeds 0,1,2] [--items 250] [--threads 1] [--only 'NAME; NAME']   measures
//   npm run results:compose                                                                              draws the page from what was kept
// DIR holds <set>.train.csv and <set>.test.csv; the parents are those of "npm run zoo:full-fine-tunes". What was measured stays in
// docs/results/data/compose.jsonl, one line for each seed, merge and task, and what else was studied in compose-studies.jsonl, so that
// a run that was ended goes on.
import { OrtRuntime } from '@thalamus/inference';
import { readCsv } from '@thalamus/training';
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { MERGED_TASKS } from './full/merged-tasks.mjs';
import { openZooBase } from './training-base.mjs';
import { fullFolder, openMergedExperts } from './compose/merged-experts.mjs';
import { MERGES } from './compose/merges.mjs';
import { writePage } from './compose/page.mjs';
import { STUDIES, studyParts } from './compose/studies.mjs';

const { values } = parseArgs({
  options: {
    data: { type: 'string' },
    seeds: { type: 'string', default: '0,1,2' },
    items: { type: 'string', default: '250' },
    threads: { type: 'string', default: '1' },
    only: { type: 'string' },
  },
});
const only = values.only?.split(';').map((name) => name.trim());
const known = [...Object.keys(MERGES), ...Object.keys(STUDIES)];
const unknown = only?.find((name) => !known.includes(name));
if (unknown !== undefined) {
  console.error(`--only ${unknown}: known are ${known.join('; ')}.`);
  process.exit(2);
}
const KEPT = 'docs/results/data/compose.jsonl';
const KEPT_STUDIES = 'docs/results/data/compose-studies.jsonl';
const kept = read(KEPT);
const studied = read(KEPT_STUDIES);
if (values.data) {
  const runtime = new OrtRuntime();
  const base = await openZooBase(runtime, Number(values.threads));
  for (const seed of values.seeds.split(',').map(Number)) await measure(seed, base, runtime);
  await runtime.close();
}
await writePage(kept, studied);
process.exit(0);

async function measure(seed, base, runtime) {
  const isWanted = (name) => !only || only.includes(name);
  const wanted = Object.entries(MERGES).filter(
    ([name]) => isWanted(name) && !kept.some((line) => line.seed === seed && line.merge === name),
  );
  const studies = Object.entries(STUDIES).filter(
    ([name]) => isWanted(name) && !studied.some((line) => line.seed === seed && line.study === name),
  );
  if (wanted.length + studies.length === 0) return;
  const open = (sets, folderOf) =>
    openMergedExperts(base, {
      data: values.data,
      sets,
      folderOf,
      items: Number(values.items),
      chooseItems: 60,
    });
  const sets = MERGED_TASKS.map(({ set }) => set);
  const parts = studyParts({
    base,
    runtime,
    experts: await open(sets, fullFolder(seed)),
    seed,
    threads: Number(values.threads),
    shipped: () =>
      open(
        sets.filter((set) => set !== 'sms_spam'),
        ({ expert }) => `zoo/experts/${expert}`,
      ),
    outOfScope: outOfScope(),
  });
  for (const [name, merge] of wanted) {
    const startedAt = Date.now();
    const { lines, facts } = await merge(parts.measuring);
    keep(
      kept,
      KEPT,
      lines.map((line) => ({ seed, merge: name, ...line, ...facts })),
    );
    console.log(
      `seed ${seed}, ${name}: ${parts.measuring.summary(lines)} ${JSON.stringify(facts)} (${secondsSince(startedAt)} s)`,
    );
  }
  for (const [name, study] of studies) {
    const startedAt = Date.now();
    const lines = await study(parts);
    keep(
      studied,
      KEPT_STUDIES,
      lines.map((line) => ({ seed, study: name, ...line })),
    );
    console.log(`seed ${seed}, ${name}: ${lines.length} lines (${secondsSince(startedAt)} s)`);
  }
}

/** Texts of no task; nothing here was fitted to them or chosen by them. */
function outOfScope() {
  const rows = readCsv(readFileSync(join(values.data, 'clinc_oos.csv')), 'clinc_oos.csv');
  return rows.map(({ text }) => text);
}

function secondsSince(startedAt) {
  return Math.round((Date.now() - startedAt) / 1000);
}

function keep(list, file, lines) {
  list.push(...lines);
  appendFileSync(file, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
}

function read(file) {
  if (!existsSync(file)) return [];
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}
