// Compares the versions of two real models, item by item, and writes docs/results/compare-v0.md.
//   node libs/compatibility/scripts/compare-llmdrift.mjs --data llmdrift_4versions.jsonl.gz
// The file: line 1 {"meta":{models,pairs}}, then {id, task, gold, scores, ans} a line, from lchen001/LLMDrift.
import { compareVersions, parsePredictions } from '@thalamus/compatibility';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { gunzipSync } from 'node:zlib';

const BUDGET = 0.01;
const PAGE = 'docs/results/compare-v0.md';
const { values } = parseArgs({ options: { data: { type: 'string' } } });
if (!values.data || !existsSync(values.data)) {
  console.error('Name the file llmdrift_4versions.jsonl.gz with --data FILE.');
  process.exit(2);
}
const [first, ...lines] = gunzipSync(readFileSync(values.data)).toString('utf8').split('\n');
const { models, pairs } = JSON.parse(first).meta;
const rows = lines.filter((line) => line !== '').map((line) => JSON.parse(line));

/** Prediction file of one model on the scored items of a task. The score of the source decides what is right. */
function predictions(items, model) {
  const text = items
    .map(({ id, gold, scores, ans, task }) => {
      const label = gold === '' || gold === null || gold === undefined ? 'right' : String(gold);
      const said = String(ans[model] ?? '') || 'no answer';
      const wrong = said === label ? `not ${label}` : said;
      return JSON.stringify({
        id,
        label,
        prediction: scores[model] === 1 ? label : wrong,
        slice: `task=${task}`,
      });
    })
    .join('\n');
  return parsePredictions(text, models[model]);
}

const percent = (value) => `${(100 * value).toFixed(1)} %`;
const rate = ({ value, low, high }) => `${percent(value)} (${percent(low)} to ${percent(high)})`;
const table = [];
for (const task of [...new Set(rows.map((row) => row.task))]) {
  for (const [before, after] of pairs) {
    const scored = rows.filter(
      (row) => row.task === task && row.scores[before] !== null && row.scores[after] !== null,
    );
    if (scored.length === 0) continue;
    const { overall, verdict } = compareVersions(
      predictions(scored, before),
      predictions(scored, after),
      BUDGET,
    );
    table.push([
      task,
      `${models[before]} → ${models[after].replace(/^.*-/, '')}`,
      overall.n,
      percent(overall.oldAccuracy.value),
      percent(overall.newAccuracy.value),
      rate(overall.negativeFlips),
      rate(overall.positiveFlips),
      percent(overall.inconsistentFlips.value),
      overall.backwardTrust.toFixed(3),
      overall.mcnemarP < 1e-4 ? overall.mcnemarP.toExponential(1) : overall.mcnemarP.toFixed(4),
      verdict,
    ]);
  }
}
const head = [
  'task',
  'update',
  'n',
  'old right',
  'new right',
  'NFR (95 %)',
  'PFR (95 %)',
  'NFR_mc',
  'BTC',
  'McNemar p',
  'verdict',
];
const line = (cells) => `| ${cells.join(' | ')} |`;
writeFileSync(
  PAGE,
  `# Comparison of versions on real updates

Two updates of remote models, each pair on the same items: recorded answers of lchen001/LLMDrift (Apache-2.0, commit
4938eb72). Made by \`node libs/compatibility/scripts/compare-llmdrift.mjs --data llmdrift_4versions.jsonl.gz\`, which writes
this page with the same kernel that \`thalamus release compare\` calls. Budget of negative flips: ${percent(BUDGET)}. Intervals are
Wilson's, p-values are McNemar's exact ones. Tasks without a right answer (opinion_qa, sensitive_q) are left out.

${[line(head), line(head.map(() => '---')), ...table.map(line)].join('\n')}

NFR: share of items that the old version had right and the new one has wrong; PFR: the reverse; NFR_mc: the new answer is wrong
and another than the old one; BTC: share of what was right that still is. An update that is better on average can still
break many items: such updates are incompatible here, whatever their accuracy.
`,
);
console.log(table.map((cells) => cells.join('  ')).join('\n'));
