// Measures the loss of every expert on the router's rows, fits heads that predict it, and writes the router model, the
// loss table, the report and its picture.
//   npm run zoo:router -- --data DIR     (DIR holds <set>.train.csv, <set>.test.csv and clinc_oos.csv)
// Losses are fitted on rows of use "router"; heads and scores are chosen on even rows of use "validation", intervals and
// thresholds come from the odd ones; test rows are read once, for the report.
import { digestOf } from '@thalamus/bundle';
import { predictLosses } from '@thalamus/routing';
import {
  abstentionThreshold,
  bestSingle,
  bootstrapMean,
  calibrationFigures,
  encodeLossTable,
  nearOptimal,
  residualInterval,
  routingOutcomes,
} from '@thalamus/training';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { openBase } from './embeddings.mjs';
import { writeRouter } from './router/bundle.mjs';
import { abstentionIdeas, headIdeas } from './router/ideas.mjs';
import { openExperts, readOutOfScope, readParts } from './router/measure.mjs';
import { reliabilityBins, reliabilityPicture } from './router/reliability-picture.mjs';
import { reportPage } from './router/report.mjs';
import { rowId, ROUTED_TASKS } from './tasks.mjs';

const { values } = parseArgs({ options: { data: { type: 'string' } } });
if (!values.data) {
  console.error('Name the folder of the CSV files with --data DIR.');
  process.exit(2);
}
const settings = { date: '2026-11-29', seed: 7, coverage: 0.9, falseAbstention: 0.05 };
const base = await openBase();
const library = await openExperts('zoo', base);
const { experts, scale } = library;
const K = experts.length;
const mean = (list) => list.reduce((sum, x) => sum + x, 0) / list.length;
const share = (scores, threshold) => mean(Array.from(scores, (score) => (score > threshold ? 1 : 0)));
const column = (losses, k) => Array.from({ length: losses.length / K }, (_, at) => losses[at * K + k]);

const data = await readParts(base, values.data, library);
const outOfScope = await readOutOfScope(base, values.data);
const counts = Object.fromEntries(Object.entries(data).map(([name, { rows }]) => [name, rows.length]));
console.log('rows', counts);

/** The loss table: what a router for this library is fitted on. Ids are hashes; texts stay where they came from. */
function writeLossTable() {
  const rows = (name, use) =>
    data[name].rows.map((row, at) => ({
      id: rowId(row.set, row.text),
      task: 'text-classification',
      use,
      losses: Array.from(data[name].losses.subarray(at * K, (at + 1) * K)),
    }));
  const table = encodeLossTable({
    meta: {
      set: 'zoo-v0',
      task: 'text-classification',
      lossUnit: 'nats',
      labelCount: scale.labelCount,
      experts: experts.map(({ expert, version, digest }) => ({ expert, version, digest })),
      licence: 'Apache-2.0',
      origin: 'measured by zoo/scripts/train-router.mjs',
      n: counts.router + counts.choose + counts.calibrate,
    },
    rows: [...rows('router', 'router'), ...rows('choose', 'validation'), ...rows('calibrate', 'validation')],
  });
  mkdirSync('zoo/router', { recursive: true });
  writeFileSync('zoo/router/losses.jsonl.gz', gzipSync(table, { level: 9 }));
  return digestOf(Buffer.from(table));
}

/** Expected calibration error over bins of equal mass, in the loss unit. */
function calibrationErrorOf(predicted, measured) {
  return calibrationFigures({ predicted, measured }).plain;
}

/** Fits every idea and judges it by its regret on the choosing half of the validation rows. */
function tryHeads() {
  return headIdeas(data, K, settings.seed).map(({ name, fit }) => {
    const heads = fit();
    const predicted = predictLosses(heads, data.choose.features);
    const outcomes = routingOutcomes({ predicted, measured: data.choose.losses, candidates: K });
    const result = {
      name,
      heads,
      regret: mean(outcomes.routed.map((loss, at) => loss - outcomes.oracle[at])),
      top1: mean(nearOptimal(outcomes, 0)),
      calibration: calibrationErrorOf(predicted, data.choose.losses),
    };
    console.log(`${name.padEnd(44)} regret ${result.regret.toFixed(4)}  top-1 ${result.top1.toFixed(4)}`);
    return result;
  });
}

/** Threshold of every score, and how many out-of-scope validation prompts it turns away. */
function tryScores(heads) {
  return abstentionIdeas(data, heads, K, settings.seed).map((idea) => {
    const threshold = abstentionThreshold(idea.of(data.calibrate.features), settings.falseAbstention);
    const result = { ...idea, threshold, validation: share(idea.of(outOfScope('oos_val')), threshold) };
    console.log(`${idea.name.padEnd(60)} abstains on ${(100 * result.validation).toFixed(1)} %`);
    return result;
  });
}

/** Figures of the test rows: the one time that they are read. */
function judge(heads, abstain, intervals) {
  const predicted = predictLosses(heads, data.test.features);
  const outcomes = routingOutcomes({ predicted, measured: data.test.losses, candidates: K });
  const regret = outcomes.routed.map((loss, at) => loss - outcomes.oracle[at]);
  const single = bestSingle(data.choose.losses, K);
  const figure = (list) => bootstrapMean(list, settings.seed);
  const turnedAway = (features) =>
    figure(Array.from(abstain.of(features), (score) => (score > abstain.threshold ? 1 : 0)));
  const covered = predicted.map((loss, at) => {
    const { lower, upper } = intervals[at % K];
    const measured = data.test.losses[at];
    return measured >= loss + lower - 1e-9 && measured <= loss + upper + 1e-9 ? 1 : 0;
  });
  const perSet = ROUTED_TASKS.map((task, k) => {
    const at = data.test.rows.flatMap((row, index) => (row.set === task.set ? [index] : []));
    const own = mean(at.map((index) => (outcomes.chosen[index] === k ? 1 : 0)));
    return { set: task.set, n: at.length, own, regret: mean(at.map((index) => regret[index])) };
  });
  const chosen = {
    predicted: Float32Array.from(outcomes.chosen, (k, at) => predicted[at * K + k]),
    measured: outcomes.routed,
  };
  return {
    figures: {
      'routed loss': figure(outcomes.routed),
      regret: figure(regret),
      'top-1': figure(nearOptimal(outcomes, 0)),
      'within 5 % of the best': figure(nearOptimal(outcomes, 0.05)),
      'oracle loss': figure(outcomes.oracle),
      'best single loss': figure(column(data.test.losses, single)),
      'random loss': figure(outcomes.random),
      'false abstention': turnedAway(data.test.features),
      'out-of-scope prompts abstained': turnedAway(outOfScope('oos_test')),
      [`coverage of the ${settings.coverage * 100} % intervals`]: {
        ...figure(covered),
        n: data.test.rows.length,
      },
    },
    bestSingle: experts[single].expert,
    calibrationError: calibrationErrorOf(predicted, data.test.losses),
    chosenCalibrationError: calibrationErrorOf(chosen.predicted, chosen.measured),
    perSet,
    series: [
      { name: 'all nine experts', colour: '#1f6feb', bins: reliabilityBins(predicted, data.test.losses) },
      {
        name: 'the expert routed to',
        colour: '#c2410c',
        bins: reliabilityBins(chosen.predicted, chosen.measured),
      },
    ],
  };
}

const tableDigest = writeLossTable();
const tried = tryHeads();
const best = tried.reduce((a, b) => (b.regret < a.regret ? b : a));
const { heads } = best;
const scores = tryScores(heads);
const abstain = scores.filter(({ score }) => score).reduce((a, b) => (b.validation > a.validation ? b : a));
const calibrated = predictLosses(heads, data.calibrate.features);
const intervals = experts.map(({ expert }, k) => {
  const predicted = column(calibrated, k);
  const residuals = column(data.calibrate.losses, k).map((loss, at) => loss - predicted[at]);
  return { expert, ...residualInterval(residuals, settings.coverage) };
});
const result = judge(heads, abstain, intervals);

const COMMITTED = {
  'top-1': 'top-1',
  regret: 'regret',
  loss: 'routed loss',
  'oracle-loss': 'oracle loss',
  'random-loss': 'random loss',
  'best-single-loss': 'best single loss',
  'false-abstention': 'false abstention',
  'out-of-scope-abstention': 'out-of-scope prompts abstained',
};
const evaluation = Object.entries(COMMITTED).map(([metric, name]) => ({
  dataset: metric === 'out-of-scope-abstention' ? 'clinc-oos' : 'zoo-v0',
  split: 'test',
  metric,
  value: Number(result.figures[name].value.toFixed(6)),
  n: result.figures[name].n,
  date: settings.date,
}));
const written = { base, library, data, heads, abstain, intervals, evaluation, tableDigest, settings };
const digest = await writeRouter('zoo/router/zoo-router', written);
const index = JSON.parse(readFileSync('zoo/zoo.json', 'utf8'));
index.routers = [{ folder: 'router/zoo-router', digest }];
writeFileSync('zoo/zoo.json', `${JSON.stringify(index, null, 2)}\n`);
mkdirSync('docs/results', { recursive: true });
writeFileSync(
  'docs/results/router-v0-reliability.svg',
  reliabilityPicture(result.series, scale.outsideLabels),
);
writeFileSync(
  'docs/results/router-v0.md',
  reportPage({ result, tried, best, scores, abstain, counts, scale }),
);
console.log(`router ${digest}`);
console.log('npm run zoo:router-reports -- --data DIR puts its evaluation for the console into the bundle.');
process.exit(0);
