// How bounds on the quality lost are kept on public tables, and what they save; writes docs/results/router-risk.md.
//   npm run results:router-risk -- --data DIR     (DIR holds <table>.jsonl.gz; --tables and --seed name others)
// A router is trained as "thalamus router train" does. Its rows for bounds, predicted by heads that had not seen them, and the
// test rows, predicted by the heads that are served, are resplit 200 times.
import { openRouterBundle, writeRouterBundle } from '@thalamus/bundle';
import { OrtRuntime, Tokenizer } from '@thalamus/inference';
import { certifySteps, costOf, applyRule } from '@thalamus/routing';
import {
  openedRouter,
  openTrainingBase,
  readRoutingTable,
  riskResplits,
  routerBundle,
  trainRouter,
  tryRouter,
} from '@thalamus/training';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { format, resolveConfig } from 'prettier';

const PAGE = 'docs/results/router-risk.md';
const RESPLITS = 200;
const TARGETS = [
  { alpha: 0.02, delta: 0.1 },
  { alpha: 0.05, delta: 0.1 },
  { alpha: 0.1, delta: 0.1 },
];
const { values } = parseArgs({
  options: {
    data: { type: 'string' },
    tables: { type: 'string', default: 'llmrouter9,routellm2_gsm8k' },
    seed: { type: 'string', default: '1' },
  },
});
if (!values.data) {
  console.error('Name the folder of the tables with --data DIR.');
  process.exit(2);
}
const runtime = new OrtRuntime();
const readTokenizer = (json) => Tokenizer.parse(json);
const base = await openTrainingBase('zoo/base/minilm-l6', { runtime, readTokenizer, threads: 2 });
const seed = Number(values.seed);

/** A router of a table with its bundle opened, and what it predicts for the test part. */
async function trained(table) {
  const made = await trainRouter({ table, base, encoder: 'fast', seed, validation: 0.1, test: 0.2 });
  const folder = mkdtempSync(join(tmpdir(), 'thalamus-risk-'));
  try {
    const facts = { name: 'made', version: '1', task: 'text-generation', date: '2026-01-01' };
    const { manifest, files } = routerBundle(made, table, base, facts);
    await writeRouterBundle(join(folder, 'r'), manifest, files);
    const router = await openedRouter(await openRouterBundle(join(folder, 'r')));
    const { trial } = await tryRouter({ router, base, table, split: 'test' });
    return { router, trial };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Prices where all are known; else the better of the fitted rows is taken to cost 1 and the others a tenth. */
function costsOf({ candidates, costScales, baselines }) {
  const known = candidates.every(({ properties }) => properties?.cost !== undefined);
  return candidates.map(({ expert, properties }) =>
    known ? costOf(properties.cost, costScales.cost) : expert === baselines.bestSingle ? 1 : 0.1,
  );
}

/** The rule of the bundle on the test rows: what it loses there beyond its reference, with the standard error. */
function onTest({ router, trial }, costs, target) {
  const candidates = costs.length;
  const cheapestFirst = costs.map((_, k) => k).sort((a, b) => costs[a] - costs[b] || a - b);
  const steps = certifySteps(router.riskRows, { cheapestFirst, costs: Float64Array.from(costs) }, target);
  let step = steps.next();
  while (!step.done) step = steps.next();
  const { rule, choices, meanLost } = step.value;
  const lost = [];
  trial.rows.forEach(({ losses }, row) => {
    if (losses.some((loss) => Number.isNaN(loss))) return;
    lost.push(
      losses[applyRule(rule, trial.predicted, choices, row * candidates)] - losses[choices.reference],
    );
  });
  const mean = lost.reduce((sum, x) => sum + x, 0) / lost.length;
  const variance = lost.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (lost.length - 1);
  const name = rule.kind === 'reference' ? rule.kind : `within-${rule.anchor} ${lambdaText(rule.lambda)}`;
  return { name, certified: meanLost, mean, error: Math.sqrt(variance / lost.length), n: lost.length };
}

const lambdaText = (lambda) =>
  Math.abs(lambda) === Number.MAX_VALUE ? (lambda > 0 ? 'any' : 'none') : lambda.toFixed(3);

function pooled({ router, trial }, candidates) {
  const { predicted, measured, bound } = router.riskRows;
  const test = trial.rows.flatMap(({ losses }) => [...losses]);
  return {
    predicted: Float32Array.from([...predicted, ...trial.predicted]),
    measured: Float32Array.from([...measured, ...test]),
    candidates,
    bound,
  };
}

const lines = [];
for (const name of values.tables.split(',')) {
  const table = await readRoutingTable(join(values.data, `${name}.jsonl.gz`));
  const own = await trained(table);
  const costs = costsOf(own.router.manifest);
  const rows = pooled(own, costs.length);
  for (const target of TARGETS) {
    const {
      broken,
      upper,
      meanLost,
      meanCost,
      rows: half,
    } = riskResplits({
      rows,
      costs,
      target,
      resplits: RESPLITS,
      seed,
    });
    const test = onTest(own, costs, target);
    lines.push(
      `| ${name} | ${target.alpha} | ${target.delta} | ${half} | ${broken} of ${RESPLITS} | ${upper.toFixed(3)} | ${meanLost.toFixed(4)} | ${(100 * meanCost).toFixed(1)} % | ${test.name} | ${test.certified.toFixed(4)} | ${test.mean.toFixed(4)} ± ${test.error.toFixed(4)} (n ${test.n}) |`,
    );
    console.log(lines.at(-1));
  }
}
const page = `# Bounds on the quality lost

Made by \`npm run results:router-risk -- --data DIR\`, where DIR holds the public tables. A router is trained as \`thalamus router train\` does (\`fast\`, seed ${seed}). Its rows for bounds, which heads predicted that had not seen them, and its test rows, which the served heads predict, are pooled and split in two by chance ${RESPLITS} times: one half certifies the cheapest rule that loses at most alpha more than its best single model with confidence 1 - delta, the other half shows what it loses beyond the best single model of all rows. That is a sample, too, so that a share of resplits above alpha is larger than the one that the bound speaks of. The upper end is that of the one-sided 95 % interval of the share. Cost is relative to the best single model; where prices are not known the better model is taken to cost ten times the other. The last three columns are the rule that the router itself serves, and what it loses on its test part (± one standard error).

| table | alpha | delta | rows of a half | above alpha | upper end | mean lost | mean cost | served rule | lost on its rows | lost on the test part |
| ----- | ----- | ----- | -------------- | ----------- | --------- | --------- | --------- | ----------- | ---------------- | --------------------- |
${lines.join('\n')}
`;
writeFileSync(PAGE, await format(page, { ...(await resolveConfig(PAGE)), filepath: PAGE }));
process.exit(0);
