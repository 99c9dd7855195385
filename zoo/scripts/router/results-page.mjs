// The page docs/results/router.md from the runs of router-results.mjs.

const mean = (list) => list.reduce((sum, x) => sum + x, 0) / list.length;
const f = (x) => (x === undefined || x === null ? '-' : x.toFixed(4));
const percent = (x) => `${(100 * x).toFixed(1)} %`;
const range = (interval) => (interval ? `${interval[0].toFixed(4)} to ${interval[1].toFixed(4)}` : '-');
const row = (...cells) => `| ${cells.join(' | ')} |`;
const head = (...cells) => [row(...cells), row(...cells.map(() => '---'))];
const BASELINES = [
  'random',
  'majority',
  'bestSingle',
  'knn',
  'tfidfKnn',
  'fastAlone',
  'accurateAlone',
  'labelThenBest',
  'oracle',
];
const NAMES = {
  random: 'a model by chance',
  majority: 'most often best',
  bestSingle: 'best single model',
  knn: 'kNN on the router’s vectors',
  tfidfKnn: 'kNN on TF-IDF',
  fastAlone: 'its first stage alone (fast)',
  accurateAlone: 'its second stage alone (accurate)',
  labelThenBest: 'task label, then best (a control)',
  oracle: 'oracle',
};

/** Runs of each table and encoder. */
function grouped(runs, keyOf) {
  const groups = new Map();
  for (const run of runs) groups.set(keyOf(run), [...(groups.get(keyOf(run)) ?? []), run]);
  return groups;
}

/** Largest quality of a curve at a mean cost of at most `cost`. */
const qualityAt = (pareto, cost) =>
  Math.max(...pareto.filter(({ meanCost }) => meanCost <= cost + 1e-9).map(({ quality }) => quality));

function qualityLines(runs) {
  const lines = head(
    '',
    'mean',
    ...runs.map(({ seed, test }) => `seed ${seed} (n ${test.n})`),
    'router is better by (95 %, each seed)',
  );
  const values = (of) => runs.map(({ test }) => of(test));
  const figures = (name, of, over) =>
    row(
      name,
      f(mean(values(of))),
      ...values(of).map(f),
      over ? runs.map(({ test }) => range(test.intervals[over])).join('; ') : '',
    );
  lines.push(figures('**router**', (test) => test.quality, undefined));
  lines.push(row('its 95 % interval', '', ...runs.map(({ test }) => range(test.intervals.quality)), ''));
  for (const name of BASELINES.filter((known) => known in runs[0].test.baselines))
    lines.push(
      figures(
        NAMES[name],
        (test) => test.baselines[name],
        ['random', 'oracle'].includes(name) ? undefined : `qualityOver.${name}`,
      ),
    );
  lines.push(
    figures('regret', (test) => test.regret),
    figures('top-1', (test) => test.top1),
  );
  lines.push(
    figures('ECE, debiased', (test) => test.ece),
    figures('Brier', (test) => test.brier),
  );
  lines.push(figures('90 % intervals hold', (test) => test.coverage));
  if (runs[0].test.secondShare !== undefined)
    lines.push(figures('prompts that the second stage decided', (test) => test.secondShare));
  return lines;
}

function costLines(runs) {
  if (runs.some(({ test }) => test.meanCost === null)) return [];
  const lines = [
    '',
    'Quality that the router reaches at no more than the mean price of each baseline (USD per million tokens, mean over seeds):',
    '',
    ...head('baseline', 'its price', 'its quality', 'router at no more'),
  ];
  for (const name of ['bestSingle', 'majority', 'knn', 'tfidfKnn', 'labelThenBest']) {
    const price = mean(runs.map(({ test }) => test.baselineCosts[name]));
    const own = mean(runs.map(({ test }) => test.baselines[name]));
    const routed = mean(runs.map(({ test }) => qualityAt(test.pareto, test.baselineCosts[name])));
    lines.push(
      row(NAMES[name], price.toFixed(3), f(own), Number.isFinite(routed) ? f(routed) : 'not so cheap'),
    );
  }
  lines.push(
    '',
    `The curve of seed ${runs[0].seed}: ${runs[0].test.pareto.map(({ lambda, meanCost, quality }) => `λ ${Number(lambda.toFixed(4))}: ${meanCost.toFixed(3)} USD, ${quality.toFixed(4)}`).join('; ')}.`,
  );
  return lines;
}

function strongWeakLines(runs) {
  if (!runs[0].test.strongWeak) return [];
  const lines = [
    '',
    'RouteLLM’s figures (the better model of the fitted rows is the strong one; a coin has APGR 0.5; shares of calls to the strong model):',
    '',
    ...head('', 'APGR, mean', 'each seed', 'CPT(50 %)', 'CPT(80 %)', '95 % of the strong model at'),
  ];
  for (const name of Object.keys(runs[0].test.strongWeak)) {
    const own = runs.map(({ test }) => test.strongWeak[name]);
    const of = (key) => percent(mean(own.map((figures) => figures[key])));
    lines.push(
      row(
        name === 'router' ? '**router**' : NAMES[name],
        f(mean(own.map(({ apgr }) => apgr))),
        own.map(({ apgr }) => f(apgr)).join('; '),
        of('cpt50'),
        of('cpt80'),
        of('calls95'),
      ),
    );
  }
  for (const name of ['knn', 'tfidfKnn'])
    lines.push(
      '',
      `APGR above that of ${NAMES[name]}, 95 % interval of each seed: ${runs.map(({ test }) => range(test.intervals[`apgrOver.${name}`])).join('; ')}.`,
    );
  return lines;
}

function choiceLines(runs) {
  const [first] = runs;
  const lines = [
    '',
    `Chosen: ${runs.map(({ seed, choice }) => `seed ${seed}: ${choice.chosen}`).join('; ')}.`,
  ];
  // What a cascade tries is what its stages try alone.
  if (first.encoder === 'cascade') return lines;
  lines.push(
    '',
    `What was tried with seed ${first.seed} (cross-validation over ${first.choice.rows} rows or 4,000 of them; “with costs” is what the choice is made by):`,
    '',
    ...head('learner', 'setting', 'regret', 'with costs', 'behind the best'),
  );
  for (const item of first.choice.tried)
    lines.push(
      row(
        item.learner,
        item.setting.replaceAll('|', '+'),
        f(item.regret),
        f(item.costRegret),
        `${f(item.behind)} ± ${f(item.behindError)}`,
      ),
    );
  return lines;
}

/** One line for each table and encoder. */
function summaryLines(runs) {
  const lines = head(
    'table',
    'encoder',
    'seeds',
    'router',
    'best single',
    'task label (control)',
    'TF-IDF kNN',
    'oracle',
    'APGR',
    'ECE',
  );
  for (const [, own] of grouped(runs, ({ table, encoder }) => `${table} ${encoder}`)) {
    const of = (read) => f(mean(own.map(({ test }) => read(test))));
    const [{ table, encoder, test }] = own;
    lines.push(
      row(
        table,
        encoder,
        own.map(({ seed }) => seed).join(', '),
        of(({ quality }) => quality),
        ...['bestSingle', 'labelThenBest', 'tfidfKnn', 'oracle'].map((name) =>
          of(({ baselines }) => baselines[name]),
        ),
        test.strongWeak ? of(({ strongWeak }) => strongWeak.router.apgr) : '-',
        of(({ ece }) => ece),
      ),
    );
  }
  return lines;
}

/** Where the pictures of a table lie, beside the page. */
export const picturesOf = (table) => ({
  curve: `router-${table}-curve.svg`,
  reliability: `router-${table}-reliability.svg`,
});

function pictureLines(table) {
  const { curve, reliability } = picturesOf(table);
  return [
    `![Quality against cost on ${table}, seed 1](${curve})`,
    '',
    `![Measured against predicted loss on ${table}, seed 1](${reliability})`,
  ];
}

/** The whole page. */
export function resultsPage(runs) {
  const lines = [
    '# Routers from tables of measured prompts',
    '',
    'Made by `npm run results:router -- --data DIR`, where DIR holds the public tables (without it, drawn anew from [the raw figures](data/router.jsonl)); `thalamus router train` and `thalamus router evaluate` give the same figures for one router. Rows are split by a digest of the prompt and the seed: 70 % train, 10 % validation, 20 % test. Learner and settings are chosen by five-fold cross-validation over the train and validation parts, by the simplest that is within one standard error of the best, and fitted on both; the test part is read once for each router. Intervals are 95 % bootstrap intervals over prompts. `fast` runs no graph; `accurate` reads the vector of the base as well; `cascade` does so for the prompts that the first leaves open. No router sees the task label. The lists of settings that are tried, and the width of static vectors, were drawn up on four fifths of llmrouter9 and some of gsm8k, which share rows with the test parts here: figures on these two may be slightly kind.',
  ];
  lines.push('', ...summaryLines(runs));
  for (const [table, own] of grouped(runs, (run) => run.table)) {
    lines.push('', `## ${table}`, '', ...pictureLines(table));
    for (const [encoder, group] of grouped(own, (run) => run.encoder)) {
      lines.push(
        '',
        `### ${encoder}`,
        '',
        ...qualityLines(group),
        ...strongWeakLines(group),
        ...costLines(group),
        ...choiceLines(group),
      );
    }
  }
  return `${lines.join('\n')}\n`;
}
