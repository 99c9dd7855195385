// Draws docs/results/compose.md from kept lines.
import { format } from 'prettier';
import { readFileSync, writeFileSync } from 'node:fs';
import { DECLARED } from './merged-experts.mjs';
import { MERGES } from './merges.mjs';
import { normalised, routing } from './scores.mjs';
import { studyTables } from './studies-page.mjs';

const PAGE = 'docs/results/compose.md';
/** Dense parents in float32: what hosting the ten apart takes. */
const DENSE_BYTES = 22_565_376 * 4;

export async function writePage(kept, studied) {
  if (kept.length === 0) return;
  const of = (merge) => kept.filter((line) => line.merge === merge);
  const measured = Object.keys(MERGES).filter((merge) => of(merge).length > 0);
  const seeds = [...new Set(kept.map(({ seed }) => seed))].length;
  const tasks = [...new Set(kept.map(({ task }) => task))];
  const rows = kept.filter(({ seed, merge }) => seed === kept[0].seed && merge === kept[0].merge);
  const interval = ({ value, low, high }) => `${value.toFixed(1)} (${low.toFixed(1)} to ${high.toFixed(1)})`;
  const table = (head, body) =>
    [
      `| ${head.join(' | ')} |`,
      `| ${head.map(() => '---').join(' | ')} |`,
      ...body.map((row) => `| ${row.join(' | ')} |`),
    ].join('\n');
  const main = table(
    ['merge', 'honest, ten sets', `honest, ${DECLARED.length} declared`, 'true head, ten sets', 'seeds'],
    measured.map((merge) => [
      merge,
      interval(normalised(of(merge), 'honest')),
      interval(normalised(of(merge), 'honest', DECLARED)),
      interval(normalised(of(merge), 'trueHead')),
      new Set(of(merge).map(({ seed }) => seed)).size,
    ]),
  );
  const ranked = measured.filter(
    (merge) => of(merge)[0].factorBytes && /^twin, rank (\d+|fraction 0\.1)$/.test(merge),
  );
  const ranks = table(
    ['rank', 'factors, MB', 'of the dense parents', 'true head', 'honest'],
    ranked.map((merge) => {
      const { factorBytes } = of(merge)[0];
      return [
        merge.replace('twin, rank ', ''),
        (factorBytes / 1e6).toFixed(1),
        `${((100 * factorBytes) / (DENSE_BYTES * tasks.length)).toFixed(1)} %`,
        normalised(of(merge), 'trueHead').value.toFixed(1),
        normalised(of(merge), 'honest').value.toFixed(1),
      ];
    }),
  );
  const chosen = of('twin, rank fraction 0.1').length > 0 ? 'twin, rank fraction 0.1' : measured[0];
  const accuracy = (bits) => [...bits].filter((bit) => bit === '1').length / bits.length;
  const byTask = table(
    ['set', 'rows', 'parent alone', `${chosen}, honest`, 'true head', 'routed to its parent'],
    tasks.map((task) => {
      const own = of(chosen).filter((line) => line.task === task);
      const share = (field) => (100 * own.reduce((sum, line) => sum + accuracy(line[field]), 0)) / own.length;
      return [
        task,
        own[0].alone.length,
        ...['alone', 'honest', 'trueHead', 'routed'].map((field) => share(field).toFixed(1)),
      ];
    }),
  );
  const studies = studyTables(studied, { table, normalised, interval });
  const words = readFileSync('zoo/scripts/compose/page.md', 'utf8');
  const filled = words
    .replace('{{seeds}}', seeds === 1 ? 'one seed' : `${seeds} seeds`)
    .replace('{{rows}}', rows.reduce((sum, { alone }) => sum + alone.length, 0).toLocaleString('en'))
    .replace('{{declared}}', DECLARED.map((set) => `\`${set}\``).join(', '))
    .replace('{{routing}}', routing(of(chosen)).toFixed(2))
    .replace('{{routing declared}}', routing(of(chosen), DECLARED).toFixed(2))
    .replace('{{rank base}}', `${((DENSE_BYTES * tasks.length) / 1e6).toFixed(0)} MB in float32`)
    .replace('{{says}}', readFileSync('zoo/scripts/compose/says.md', 'utf8'))
    .replace('{{main}}', main)
    .replace('{{ranks}}', ranks)
    .replace('{{byTask}}', byTask)
    .replace(/\n## [^\n]+\n(?:(?!\n## )[^])*?{{study (\w+)}}\n/g, (section, name) =>
      studies[name] === '' ? '' : section.replace(`{{study ${name}}}`, studies[name]),
    );
  writeFileSync(PAGE, await format(filled, { parser: 'markdown', printWidth: 120 }));
  console.log(`${PAGE} is drawn from ${kept.length + studied.length} lines.`);
}
