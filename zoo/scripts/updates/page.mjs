// Draws docs/results/updates.md from kept lines.
import { REPAIR_ARM_NAMES, REPAIR_ARMS } from '@thalamus/training';
import { format } from 'prettier';
import { readFileSync, writeFileSync } from 'node:fs';
import {
  accuracy,
  backwardTrust,
  cut,
  gain,
  inconsistentFlips,
  negativeFlips,
  pooled,
  positiveFlips,
} from './figures.mjs';
import { PAIRS, REPAIR_SETTINGS, VERSION_SETTINGS } from './pairs.mjs';

const PAGE = 'docs/results/updates.md';
const WORDS = {
  ensemble: 'v1 and v2 both served, probabilities averaged',
  ...Object.fromEntries(REPAIR_ARM_NAMES.map((name) => [name, REPAIR_ARMS[name].description])),
};

export async function writePage(kept) {
  if (kept.length === 0) return;
  const pairs = Object.keys(PAIRS).filter((pair) => pooled(kept, pair, ['v1', 'v2']).runs.length > 0);
  const filled = readFileSync('zoo/scripts/updates/page.md', 'utf8')
    .replace('{{updates}}', updates(kept, pairs))
    .replace(
      '{{arms}}',
      pairs
        .map((pair) => armsOf(kept, pair))
        .filter(Boolean)
        .join('\n\n'),
    )
    .replace('{{says}}', readFileSync('zoo/scripts/updates/says.md', 'utf8'))
    .replace('{{versions}}', settings(VERSION_SETTINGS))
    .replace('{{repairs}}', settings(REPAIR_SETTINGS));
  writeFileSync(PAGE, await format(filled, { parser: 'markdown', printWidth: 120 }));
  console.log(`${PAGE} is drawn from ${kept.length} lines.`);
}

const percent = (share) => (100 * share).toFixed(1);
const within = ({ value, mean, low, high }) =>
  Number.isFinite(value ?? mean) ? `${percent(value ?? mean)} (${percent(low)} to ${percent(high)})` : '-';
const table = (head, body) =>
  [head, head.map(() => '---'), ...body].map((row) => `| ${row.join(' | ')} |`).join('\n');
const settings = ({ epochs, rate, headRate, rank, rowsPerBatch }) =>
  `${epochs} passes, rate ${rate}, head ${Number(headRate.toPrecision(2))}, rank ${rank}, batch ${rowsPerBatch}`;

/** Every update by task, with the floor that two seeds of one version set. */
function updates(kept, pairs) {
  return table(
    [
      'pair',
      'task',
      'seeds',
      'rows: v1, v2, repair, test',
      'v1',
      'v2',
      'NFR',
      'NFR of v2 under another seed',
    ],
    pairs.flatMap((pair) =>
      [...new Set(kept.filter((line) => line.pair === pair).map(({ task }) => task))].flatMap((task) => {
        const own = kept.filter((line) => line.task === task);
        const { rows, runs } = pooled(own, pair, ['v1', 'v2']);
        if (runs.length === 0) return [];
        const again = pooled(own, pair, ['v1', 'v2', 'v2 again']).rows;
        const { trainOld, train, repair, test } = own.find((line) => line.pair === pair).rows;
        return [
          [
            pair,
            `\`${task}\``,
            runs.length,
            `${trainOld}, ${train}, ${repair}, ${test}`,
            percent(accuracy(rows, 'v1')),
            percent(accuracy(rows, 'v2')),
            within(negativeFlips(rows, 'v2')),
            again.length === 0 ? 'not measured' : within(negativeFlips(again, 'v2 again', 'v2')),
          ],
        ];
      }),
    ),
  );
}

/** The arms of a pair, each over the tasks and seeds that it was measured on; empty where there is none. */
function armsOf(kept, pair) {
  const names = ['ensemble', ...REPAIR_ARM_NAMES].filter(
    (arm) => pooled(kept, pair, ['v1', 'v2', arm]).runs.length > 0,
  );
  if (names.length === 0) return '';
  const body = names.map((arm) => {
    const { rows, runs } = pooled(kept, pair, ['v1', 'v2', arm]);
    const beside = arm === 'continued' ? [] : pooled(kept, pair, ['v1', 'v2', arm, 'continued']).rows;
    return [
      `\`${arm}\`: ${WORDS[arm]}`,
      `${runs.length}`,
      percent(negativeFlips(rows, 'v2').value),
      percent(negativeFlips(rows, arm).value),
      within(cut(rows, arm, 'v2')),
      beside.length === 0 ? '-' : within(cut(beside, arm, 'continued')),
      within(gain(rows, arm, 'v2')),
      percent(positiveFlips(rows, arm)),
      percent(inconsistentFlips(rows, arm)),
      percent(backwardTrust(rows, arm)),
    ];
  });
  const { rows } = pooled(kept, pair, ['v1', 'v2']);
  const { old, new: newer } = PAIRS[pair];
  return `### ${pair}: base at ${old} to base at ${newer}\n\nv1 ${percent(accuracy(rows, 'v1'))}, v2 ${percent(accuracy(rows, 'v2'))}, ${rows.length.toLocaleString('en')} test rows.\n\n${table(
    [
      'learns from',
      'runs',
      'NFR before',
      'NFR after',
      'cut, % of before',
      'cut beyond `continued`, %',
      'accuracy less v2’s, points',
      'PFR',
      'NFR_mc',
      'BTC',
    ],
    body,
  )}`;
}
