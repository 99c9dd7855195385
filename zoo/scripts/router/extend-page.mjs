// The page docs/results/router-extend.md.

const KINDS = {
  ridge: 'ridge regression',
  nearest: 'nearest prompts',
  gated: 'gate and ridge regression',
  mlp: 'a hidden layer',
  average: 'average of the four',
};

const mean = (list) => list.reduce((sum, value) => sum + value, 0) / list.length;
const shown = (value) => value.toFixed(4);

/** Regret of each kind, mean over the models left out and the draws. */
export function extendPage({ table, seed, encoder, rows, counts, draws, retrained, models }) {
  const extended = (kind, count, what) =>
    mean(models.map(({ extended: own }) => mean(own[count].map((draw) => draw[kind][what]))));
  const without = (kind) => mean(models.map(({ without: own }) => own[kind].regret));
  const header = [
    'heads',
    'without it',
    ...counts.map((count) => `${count} prompts`),
    `fitted anew (${rows.fit})`,
  ];
  const kinds = Object.keys(KINDS);
  const best = kinds.reduce((a, b) => (retrained[b].regret < retrained[a].regret ? b : a));
  return `# One more model for a trained router

\`thalamus router extend\` fits one head and leaves everything else to the bit. Here each of the ${models.length} models of ${table} is left out in
turn: heads of every kind are fitted to the others on ${rows.fit} prompts, and the model left out is added on 100, 500 and 2,000 of these
prompts (${counts.map((count) => `${draws[count]} ${draws[count] === 1 ? 'draw' : 'draws'} of ${count}`).join(', ')}; seed ${seed}, ${encoder} encoder, one setting of each kind). Judged on ${rows.test} prompts that
nothing was fitted on. Made by

\`\`\`sh
npm run results:router-extend -- --data DIR
\`\`\`

Raw figures: [data/router-extend.json](data/router-extend.json).

## Regret

Mean loss beyond that of the best of all ${models.length} models on each prompt, without costs; mean over the models left out. \`fitted anew\` is a router
over all ${models.length}, fitted to all at once.

${tableOf([header, ...kinds.map((kind) => [KINDS[kind], shown(without(kind)), ...counts.map((count) => shown(extended(kind, count, 'regret'))), shown(retrained[kind].regret)])])}

## The model left out matters

${KINDS[best][0].toUpperCase()}${KINDS[best].slice(1)}, by model. \`chosen\` is how often the new model is chosen after 500 prompts, on average.

${tableOf([
  ['model left out', 'without it', ...counts.map((count) => `${count} prompts`), 'chosen'],
  ...models.map(({ model, without: none, extended: own }) => [
    model,
    shown(none[best].regret),
    ...counts.map((count) => shown(mean(own[count].map((draw) => draw[best].regret)))),
    `${(100 * mean(own[500].map((draw) => draw[best].last))).toFixed(1)} %`,
  ]),
])}

## Intervals of the new head

Share of test prompts whose measured loss the interval of 90 % holds, and how far predictions miss on rows that the head had not seen.

${tableOf([
  ['heads', ...counts.map((count) => `held, ${count}`), ...counts.map((count) => `missed by, ${count}`)],
  ...kinds.map((kind) => [
    KINDS[kind],
    ...counts.map((count) => `${(100 * extended(kind, count, 'coverage')).toFixed(1)} %`),
    ...counts.map((count) => shown(extended(kind, count, 'meanError'))),
  ]),
])}
`;
}

function tableOf([header, ...rows]) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  const rule = header.map((_, at) => (at === 0 ? '---' : '---:'));
  return [line(header), line(rule), ...rows.map(line)].join('\n');
}
