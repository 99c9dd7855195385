// Trains the nine probe experts of the zoo from the shipped base and writes bundles, the split manifest and samples.
//   npm run zoo:train -- --data DIR     (DIR holds <set>.train.csv and <set>.test.csv)
import { bundleDigest, writeBundle } from '@thalamus/bundle';
import {
  evaluateHead,
  labelled,
  probeBundle,
  readCsv,
  rowUse,
  trainProbe,
  writeCsv,
} from '@thalamus/training';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { embedAll, openBase } from './embeddings.mjs';
import { takeRows } from './router/measure.mjs';
import { sampleOf, SPLIT_RULE, TASKS } from './tasks.mjs';

const { values } = parseArgs({ options: { data: { type: 'string' }, only: { type: 'string' } } });
if (!values.data) {
  console.error('Name the folder of the CSV files with --data DIR.');
  process.exit(2);
}
const DATE = '2026-11-24';
const base = await openBase();
const width = 384;
const splits = {
  rule: 'sha256("split-v1\\n" + lower-cased text with single spaces) mod 100',
  shares: SPLIT_RULE,
  sets: {},
};
mkdirSync('zoo/data/sample', { recursive: true });
const SAMPLE_FIGURES = 'zoo/data/sample/figures.json';
const sampleFigures = existsSync(SAMPLE_FIGURES) ? JSON.parse(readFileSync(SAMPLE_FIGURES, 'utf8')) : {};

const pick = (rows, features, use) => {
  const chosen = rows
    .map((row, index) => ({ row, index }))
    .filter(({ row }) => use === 'all' || rowUse(row.text, SPLIT_RULE) === use);
  const part = new Float32Array(chosen.length * width);
  chosen.forEach(({ index }, at) =>
    part.set(features.subarray(index * width, (index + 1) * width), at * width),
  );
  return { features: part, labels: chosen.map(({ row }) => row.label) };
};

for (const task of TASKS) {
  const trainBytes = readFileSync(join(values.data, `${task.set}.train.csv`));
  const trainRows = readCsv(trainBytes, `${task.set}.train.csv`);
  const testRows = readCsv(readFileSync(join(values.data, `${task.set}.test.csv`)), `${task.set}.test.csv`);
  const uses = trainRows.map((row) => rowUse(row.text, SPLIT_RULE));
  splits.sets[task.set] = {
    trainSha256: createHash('sha256').update(trainBytes).digest('hex'),
    expert: uses.filter((use) => use === 'expert').length,
    router: uses.filter((use) => use === 'router').length,
    validation: uses.filter((use) => use === 'validation').length,
    uses: uses.map((use) => use[0]).join(''),
  };
  writeFileSync(`zoo/data/sample/${task.set}.test.csv`, writeCsv(sampleOf(testRows)));
  writeFileSync(
    `zoo/data/sample/${task.set}.train.csv`,
    writeCsv(sampleOf(trainRows.filter((_, i) => uses[i] === 'expert'))),
  );
  if (values.only && values.only !== task.set) continue;

  const trainFeatures = await embedAll(
    base,
    trainRows.map((row) => row.text),
    `${task.set}.train`,
  );
  const testFeatures = await embedAll(
    base,
    testRows.map((row) => row.text),
    `${task.set}.test`,
  );
  const expertRows = pick(trainRows, trainFeatures, 'expert');
  const startedAt = performance.now();
  const probe = trainProbe(expertRows, pick(trainRows, trainFeatures, 'validation'), width, ({ tried }) => {
    if (tried)
      console.log(
        `  ${task.set}: l2 ${tried.l2}: validation log loss ${tried.metrics.logLoss.toFixed(4)}, accuracy ${tried.metrics.accuracy.toFixed(4)}`,
      );
  });
  const test = evaluateHead(probe.head, labelled(pick(testRows, testFeatures, 'all'), probe.labels, width));
  const inSample = new Set(sampleOf(testRows).map(({ text }) => text));
  const sample = takeRows({ rows: testRows, features: testFeatures }, ({ text }) => inSample.has(text));
  const onSample = evaluateHead(
    probe.head,
    labelled(
      { features: sample.features, labels: sample.rows.map(({ label }) => label) },
      probe.labels,
      width,
    ),
  );
  sampleFigures[task.set] = { n: onSample.n, right: Math.round(onSample.accuracy * onSample.n) };
  const { manifest, files } = probeBundle(probe, {
    name: task.expert,
    version: '1',
    description: task.description,
    licence: task.licence,
    base: { manifest: base.bundle.manifest, digest: base.bundle.digest },
    width,
    trainingData: [
      { name: task.set, licence: task.licence, origin: task.origin, rows: expertRows.labels.length },
    ],
    validation: { dataset: task.set, metrics: probe.validation },
    test: { dataset: task.set, metrics: test },
    seed: 0,
    date: DATE,
  });
  await writeBundle(`zoo/experts/${task.expert}`, manifest, files);
  console.log(
    `${task.expert.padEnd(18)} accuracy ${test.accuracy.toFixed(4)}  macro-F1 ${test.macroF1.toFixed(4)}  log loss ${test.logLoss.toFixed(4)}  n ${test.n}  (${((performance.now() - startedAt) / 1000).toFixed(1)} s)`,
  );
}
writeFileSync('zoo/data/splits.json', `${JSON.stringify(splits, null, 1)}\n`);
writeFileSync(SAMPLE_FIGURES, `${JSON.stringify(sampleFigures, null, 2)}\n`);
const experts = [];
for (const task of TASKS) {
  const digest = await bundleDigest(`zoo/experts/${task.expert}`);
  experts.push({
    folder: `experts/${task.expert}`,
    digest,
    sample: {
      train: `data/sample/${task.set}.train.csv`,
      test: `data/sample/${task.set}.test.csv`,
      licence: task.licence,
      origin: task.origin,
    },
  });
}
// The router and the fleet stay named; when experts have changed, "npm run zoo:verify" says that the router must be fitted again.
const { routers, fleet, languageModels } = JSON.parse(readFileSync('zoo/zoo.json', 'utf8'));
const index = {
  bases: [{ folder: 'base/minilm-l6', digest: base.bundle.digest }],
  experts,
  routers,
  fleet,
  languageModels,
};
writeFileSync('zoo/zoo.json', `${JSON.stringify(index, null, 2)}\n`);
process.exit(0);
