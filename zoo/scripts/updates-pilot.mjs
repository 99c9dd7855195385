// What settings of repairs do, on rows of the train files that neither the versions nor the repairs use: no test row is read, and nothing
// is kept.
//   npm run results:updates:pilot -- --data DIR [--pair near] [--task banking77] [--seed 0] [--only ARM,ARM] [--rows N] [--passes N] [--rate N]
import { OrtRuntime } from '@thalamus/inference';
import { REPAIR_HYPER_PARAMETERS } from '@thalamus/training';
import { parseArgs } from 'node:util';
import { openBaseVersion } from './updates/base-versions.mjs';
import { decodeAnswers } from './updates/answers.mjs';
import { accuracy, cut, negativeFlips } from './updates/figures.mjs';
import { Measuring } from './updates/measuring.mjs';
import { ARM_NAMES, PAIRS, REPAIR_SETTINGS, UPDATE_TASKS } from './updates/pairs.mjs';

const { values } = parseArgs({
  options: {
    data: { type: 'string' },
    pair: { type: 'string', default: 'near' },
    task: { type: 'string', default: 'banking77' },
    seed: { type: 'string', default: '0' },
    only: { type: 'string', default: 'continued,mean-ce,muscle' },
    rows: { type: 'string' },
    passes: { type: 'string', default: `${REPAIR_SETTINGS.epochs}` },
    rate: { type: 'string', default: `${REPAIR_SETTINGS.rate}` },
    threads: { type: 'string', default: '1' },
  },
});
const arms = values.only.split(',');
const faults = [
  values.data === undefined && 'name the folder of the CSV files with --data DIR',
  !(values.pair in PAIRS) && `--pair ${values.pair}: known are ${Object.keys(PAIRS).join(', ')}`,
  !(values.task in UPDATE_TASKS) &&
    `--task ${values.task}: known are ${Object.keys(UPDATE_TASKS).join(', ')}`,
  ...arms.map((arm) => !ARM_NAMES.includes(arm) && `--only ${arm}: known are ${ARM_NAMES.join(', ')}`),
  ...['seed', 'rows', 'passes', 'rate', 'threads'].map(
    (name) =>
      values[name] !== undefined && !(Number(values[name]) >= 0) && `--${name} ${values[name]}: a number`,
  ),
].filter(Boolean);
if (faults.length > 0) {
  console.error(faults.join('\n'));
  process.exit(2);
}
const rate = Number(values.rate);
const headPerRate = REPAIR_HYPER_PARAMETERS.headRate / REPAIR_HYPER_PARAMETERS.rate;
const runtime = new OrtRuntime();
const { old, new: newer } = PAIRS[values.pair];
const measuring = new Measuring({
  bases: {
    old: await openBaseVersion(old, runtime, Number(values.threads)),
    new: await openBaseVersion(newer, runtime, Number(values.threads)),
  },
  pair: values.pair,
  task: values.task,
  seed: Number(values.seed),
  data: values.data,
  isPilot: true,
  settings: {
    ...REPAIR_SETTINGS,
    epochs: Number(values.passes),
    rate,
    headRate: rate * headPerRate,
    ...(values.rows ? { rows: Number(values.rows) } : {}),
  },
});
const rows = [];
for (const arm of ['v1', 'v2', ...arms]) {
  const { truth, answers } = await measuring.measure(arm);
  const labels = decodeAnswers(truth);
  decodeAnswers(answers).forEach((answer, at) => {
    rows[at] = { item: `${at}`, label: labels[at], ...rows[at], [arm]: answer };
  });
  const percent = (share) => `${(100 * share).toFixed(1)} %`;
  const flips = arm === 'v1' ? '' : `, NFR ${percent(negativeFlips(rows, arm).value)}`;
  const less = arm.startsWith('v') ? '' : `, cut ${percent(cut(rows, arm, 'v2').value)}`;
  console.log(`${arm}: accuracy ${percent(accuracy(rows, arm))}${flips}${less}`);
}
await runtime.close();
process.exit(0);
