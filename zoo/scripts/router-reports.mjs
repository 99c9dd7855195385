// Judges the two router models that ship with the zoo on their test rows, and puts a report for the console into their bundles.
// Weights stay as they are; the version goes up, since versions are immutable.
//   npm run zoo:router-reports -- --data DIR [--version N] [--fleet-version N]     (DIR holds <set>.train.csv and <set>.test.csv)
import { readCsv } from '@thalamus/training';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { embedAll, openBase } from './embeddings.mjs';
import { readFleet } from './router/fleet-parts.mjs';
import { joinRows, measureLosses, openExperts } from './router/measure.mjs';
import { writeReport } from './router/write-report.mjs';
import { rowId, ROUTED_TASKS } from './tasks.mjs';
import { readLossTable } from './verify/check-index.mjs';

const { values } = parseArgs({
  options: {
    data: { type: 'string' },
    version: { type: 'string' },
    'fleet-version': { type: 'string' },
  },
});
if (!values.data) {
  console.error('Name the folder of the CSV files with --data DIR.');
  process.exit(2);
}
const DATE = '2026-11-29';
const SEED = 7;
const base = await openBase();
const versionOf = (folder) => JSON.parse(readFileSync(`zoo/${folder}/router.json`, 'utf8')).version;

/** Rows of a file of every routed set with the base's vectors; `task` is the set, which no router sees. */
async function rowsOf(kind, keep = () => true) {
  const parts = [];
  for (const { set } of ROUTED_TASKS) {
    const file = `${set}.${kind}.csv`;
    const rows = readCsv(readFileSync(join(values.data, file)), file)
      .map((row) => ({ ...row, set, prompt: row.text, task: set }))
      .filter(keep);
    const texts = rows.map(({ text }) => text);
    parts.push({ rows, features: await embedAll(base, texts, `${set}.${kind}`) });
  }
  return parts;
}

/** The rows that the zoo's router was fitted on, with the committed losses. */
async function fittedRows() {
  const table = new Map(
    readLossTable('zoo')
      .rows.filter(({ use }) => use === 'router')
      .map(({ id, losses }) => [id, losses]),
  );
  const part = joinRows(await rowsOf('train', ({ set, text }) => table.has(rowId(set, text))));
  return {
    ...part,
    losses: Float64Array.from(part.rows.flatMap(({ set, text }) => table.get(rowId(set, text)))),
  };
}

/** The test rows, every expert measured on them. */
async function testRows(library) {
  const parts = await rowsOf('test');
  const losses = [];
  for (const { rows } of parts) losses.push(...(await measureLosses(library, rows, `${rows[0].set}.test`)));
  return { ...joinRows(parts), losses: Float64Array.from(losses) };
}

const library = await openExperts('zoo', base);
const zooRouter = await writeReport('zoo/router/zoo-router', {
  fitted: await fittedRows(),
  asked: await testRows(library),
  dataset: 'zoo-v0',
  version: values.version ?? versionOf('router/zoo-router'),
  date: DATE,
  seed: SEED,
});
const fleet = await readFleet(base, 'zoo');
const fleetRouter = await writeReport('zoo/fleet/fleet-router', {
  fitted: fleet.parts.router,
  asked: fleet.parts.test,
  dataset: 'gsm8k-recorded',
  version: values['fleet-version'] ?? versionOf('fleet/fleet-router'),
  date: DATE,
  seed: SEED,
  prices: fleet.prices,
});
const index = JSON.parse(readFileSync('zoo/zoo.json', 'utf8'));
index.routers = [{ folder: 'router/zoo-router', digest: zooRouter }];
index.fleet.routers = [{ folder: 'fleet/fleet-router', digest: fleetRouter }];
writeFileSync('zoo/zoo.json', `${JSON.stringify(index, null, 2)}\n`);
process.exit(0);
