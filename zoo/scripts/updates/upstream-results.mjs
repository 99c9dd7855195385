// What it gives to send a kind of prompt back to the old version of a remote model, on two recorded updates; writes
// docs/results/upstream-repair.md and its data.
//   npm run results:upstream-repair -- --data DIR [--seeds 3]      (DIR holds llmdrift_4versions.jsonl.gz)
// The same kernel as `thalamus release reroute`: five folds of prompts, learner and margin chosen inside of each. What is measured of a seed
// is kept in node_modules/.cache/thalamus/upstream-repair, and a run goes on from there: remove that folder once the code has changed.
// Without --data the page is drawn again from the data.
import { OrtRuntime } from '@thalamus/inference';
import { crossValidate, fitReroute, promptGroup, rerouteTable, sentBack } from '@thalamus/training';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { format, resolveConfig } from 'prettier';
import { gunzipSync } from 'node:zlib';
import { openZooBase } from '../training-base.mjs';
import { judged, kindRouted } from './upstream-figures.mjs';
import { upstreamPage } from './upstream-page.mjs';

const PAGE = 'docs/results/upstream-repair.md';
const DATA = 'docs/results/data/upstream-repair.json';
const CACHE = 'node_modules/.cache/thalamus/upstream-repair';
const { values } = parseArgs({
  options: { data: { type: 'string' }, seeds: { type: 'string', default: '3' } },
});
const SEEDS = Array.from({ length: Number(values.seeds) }, (_, at) => at + 1);
if (values.data) await measure(join(values.data, 'llmdrift_4versions.jsonl.gz'));
else if (!existsSync(DATA)) {
  console.error('Name the folder of llmdrift_4versions.jsonl.gz with --data DIR.');
  process.exit(2);
}
const page = upstreamPage(JSON.parse(readFileSync(DATA, 'utf8')));
writeFileSync(PAGE, await format(page, { ...(await resolveConfig(PAGE)), filepath: PAGE }));
process.exit(0);

async function measure(path) {
  const [first, ...lines] = gunzipSync(readFileSync(path)).toString('utf8').split('\n');
  const { meta } = JSON.parse(first);
  const rows = lines.filter((line) => line !== '').map((line) => JSON.parse(line));
  const base = await openZooBase(new OrtRuntime(), 1);
  const pairs = [];
  for (const [old, own] of meta.pairs) {
    const names = { old: meta.models[old], new: meta.models[own] };
    const isScored = ({ scores }) => scores[old] !== null && scores[own] !== null;
    const unscored = rows.filter((row) => !isScored(row));
    const prompts = rows.filter(isScored).map((row) => answered(row, old, own));
    pairs.push({ ...names, ...(await measurePair(prompts, unscored, names, base)) });
  }
  const { origin, licence } = meta;
  writeFileSync(DATA, `${JSON.stringify({ origin, licence, seeds: SEEDS, pairs }, undefined, 1)}\n`);
}

/** A row as `pairAnswers` gives it. */
function answered({ id, task, prompt, scores }, old, own) {
  const answer = (score) => ({ prediction: String(score), isRight: score === 1 });
  return { id, text: prompt, slices: [task], before: answer(scores[old]), after: answer(scores[own]) };
}

async function measurePair(prompts, unscored, names, base) {
  const facts = { ...names, loss: 'right', licence: 'Apache-2.0', origin: 'lchen001/LLMDrift' };
  const groups = groupsOf(prompts);
  const made = rerouteTable(prompts, facts).table;
  const table = { ...made, rows: made.rows.map((row, at) => ({ ...row, doc: groups[at] })) };
  const runs = [];
  for (const seed of SEEDS) {
    const run = await kept(`${names.new}-${seed}`, async () => {
      const startedAt = performance.now();
      const { isSentBack, folds } = await crossValidate(table, { base, seed });
      return { seed, folds, isSentBack, seconds: (performance.now() - startedAt) / 1000 };
    });
    runs.push({ ...run, byKind: kindRouted(prompts, groups, seed) });
  }
  const { whole, elsewhere } = await kept(`${names.new}-whole`, async () => {
    const trained = await fitReroute(table, { base, seed: SEEDS[0] });
    const shares = {};
    for (const task of new Set(unscored.map((row) => row.task))) {
      const asked = unscored.filter((row) => row.task === task).map(({ prompt }) => prompt);
      const sent = await sentBack(trained, base, asked);
      shares[task] = { n: sent.length, sentBack: sent.filter(Boolean).length / sent.length };
    }
    const { chosen } = trained.margin;
    return { whole: { margin: chosen, learner: trained.choice.chosen.learner }, elsewhere: shares };
  });
  return {
    ...judged(prompts, groups, runs),
    runs: runs.map(({ seed, folds, isSentBack, seconds }) => ({
      seed,
      folds,
      seconds: Number(seconds.toFixed(1)),
      sentBack: isSentBack.map(Number).join(''),
    })),
    whole,
    elsewhere,
  };
}

/** What is in the folder of kept figures, else what is measured now. */
async function kept(name, measure) {
  const path = join(CACHE, `${name}.json`);
  mkdirSync(CACHE, { recursive: true });
  if (!existsSync(path)) writeFileSync(path, JSON.stringify(await measure()));
  console.log(path);
  return JSON.parse(readFileSync(path, 'utf8'));
}

/** Near-duplicates: the same words and numbers, and ranges of happy numbers that overlap. */
function groupsOf(prompts) {
  const ranges = prompts
    .flatMap(({ text }, at) => {
      const [, from, to] = /happy numbers are there between (\d+) and (\d+)/.exec(text) ?? [];
      return from === undefined ? [] : [{ at, from: Number(from), to: Number(to) }];
    })
    .sort((a, b) => a.from - b.from);
  const groups = prompts.map(({ text }) => promptGroup(text));
  let last = -1;
  ranges.forEach(({ at, from, to }, place) => {
    if (place > 0 && from <= last) groups[at] = groups[ranges[place - 1].at];
    last = Math.max(last, to);
  });
  return groups;
}
