// The page docs/results/masked-lm-router.md from the runs of masked-lm-results.mjs.
import prettier from 'prettier';
import { meanOf, TOLERANCES } from './choice-figures.mjs';

const f = (x) => x.toFixed(4);
const percent = (x) => `${(100 * x).toFixed(1)} %`;
const between = ([low, high]) => `${percent(low)} to ${percent(high)}`;
const nats = ([low, high]) => `${f(low)} to ${f(high)}`;
const row = (...cells) => `| ${cells.join(' | ')} |`;
const head = (...cells) => [row(...cells), row(...cells.map(() => '---'))];
const NAMES = {
  router: '**router**',
  random: 'a model by chance',
  majority: 'most often best in the train table',
  bestSingle: 'best single model of the train table',
  wordDescription: 'description that shares most words (TF-IDF)',
  nearestDescription: 'description nearest by the base’s vectors',
  classifiedDomain: 'domain by a classifier, then its best model',
  labelThenBest: 'true domain label, then its best model (a control)',
  knn: 'kNN on the router’s vectors',
  tfidfKnn: 'kNN on TF-IDF',
  twoMasks: 'oracle of two of the four masks',
  oracle: 'oracle',
};

/** `facts`: models, n and documents of the tables; `runs` by encoder and seed. */
export async function maskedLmPage(facts, runs) {
  const encoders = [...new Set(runs.map(({ encoder }) => encoder))];
  const page = `# Routers among masked language models

Made by \`npm run results:masked-lm -- --train TRAIN --test TEST\`; the head of \`zoo/scripts/masked-lm-results.mjs\` has the commands that measure both tables. ${facts.models.length} masked language models of the zoo: a generalist, eleven domain experts as low-rank branches over one base, three small distilled ones. Train table: ${facts.train.n} prompts of ${facts.train.documents} documents that the experts did not learn from, one mask each. Test table: ${facts.test.n} prompts of ${facts.test.documents} documents of the test files, which nothing has read before, at most 128 tokens, the mean loss of four disjoint masks in nats. Learner, settings, calibration and the weight of size are chosen on the train table; the test table is read once for each router. Intervals are 95 % bootstrap intervals by document. Raw figures: [\`data/masked-lm-router.json\`](data/masked-lm-router.json).

Tryage's abstract (arXiv 2308.11601) has 50.9 % for its router, 23.6 % for GPT-3.5-turbo and 10.8 % for Gorilla, among other models and prompts: the ratio to selectors by description is what can be compared, not the share.

## What it says

${saysOf(facts, runs)}

${encoders
  .map((encoder) =>
    sectionOf(
      encoder,
      runs.filter((run) => run.encoder === encoder),
    ),
  )
  .join('\n')}`;
  const path = 'docs/results/masked-lm-router.md';
  return prettier.format(page, { ...(await prettier.resolveConfig(path)), parser: 'markdown' });
}

/** What can be said, by the figures. */
function saysOf({ models }, runs) {
  const holdZero = runs.every(
    ({ over }) => over.classifiedDomain.interval[0] <= 0 && over.classifiedDomain.interval[1] >= 0,
  );
  const cheapest = models.filter(
    ({ flopsPerToken }) => flopsPerToken < Math.max(...models.map((model) => model.flopsPerToken)),
  );
  const routed = meanOf(runs.map(({ ways }) => ways.router.loss));
  const least = cheapest.reduce((best, model) => (model.loss < best.loss ? model : best));
  const domains = holdZero
    ? 'No router differs from a classifier of domains by more than noise: to choose among experts of domains is to tell domains apart, which the router does without seeing their names.'
    : 'The router and a classifier of domains differ by more than noise.';
  return `${domains} Which of two masks the other two are judged by matters more than what is left to the router: it chooses better for masks that it has not seen than an oracle of two others does. Descriptions name the domains here, so that the nearest one by vectors is a strong control. Nothing is saved at 1 % more loss: of the models that cost less, ${least.expert} loses least, ${f(least.loss)} nats where the router loses ${f(routed)}.`;
}

function sectionOf(encoder, runs) {
  const mean = (of) => meanOf(runs.map(of));
  const each = (of, form = percent) => runs.map((run) => form(of(run))).join(', ');
  const ways = Object.keys(NAMES).map((name) =>
    row(
      NAMES[name],
      f(mean(({ ways }) => ways[name].loss)),
      ...TOLERANCES.map((_, at) => percent(mean(({ ways }) => ways[name].within[at]))),
      percent(mean(({ ways }) => ways[name].closed)),
    ),
  );
  const top1 = (name) => mean(({ ways }) => ways[name].within[0]);
  const curve = runs[0].saving.curve.map(({ lambda, loss, flops }) =>
    row(String(Number(lambda.toFixed(4))), (flops / 1e6).toFixed(1), f(loss)),
  );
  return `## ${encoder}

${[
  ...head(
    '',
    'loss, nats',
    'top-1',
    ...TOLERANCES.slice(1).map((share) => `within ${100 * share} %`),
    'gap closed',
  ),
  ...ways,
].join('\n')}

Means over seeds ${runs.map(({ seed }) => seed).join(', ')}. The gap is that from the best single model (${runs[0].single}) to the oracle, whose choice is made by the losses that it is judged by. An oracle that sees two masks and is judged by the other two finds the best of those for ${percent(mean(({ ceiling }) => ceiling.within[0]))} of the prompts and closes ${percent(mean(({ ceiling }) => ceiling.closed))} of their gap; the router, judged by the same two, ${percent(mean(({ routerOnSecond }) => routerOnSecond.within[0]))} and ${percent(mean(({ routerOnSecond }) => routerOnSecond.closed))}.

- Top-1, each seed: ${each(({ ways }) => ways.router.within[0])}; intervals ${runs.map(({ ways }) => between(ways.router.top1Interval)).join('; ')}. ${(top1('router') / top1('nearestDescription')).toFixed(2)} times the selector by nearest description, ${(top1('router') / top1('wordDescription')).toFixed(2)} times the one by words.
- Gap closed, each seed: ${each(({ ways }) => ways.router.closed)}; intervals ${runs.map(({ ways }) => between(ways.router.closedInterval)).join('; ')}.
- Nats that the router loses less, intervals of each seed: than the domain by a classifier ${runs.map(({ over }) => nats(over.classifiedDomain.interval)).join('; ')}; than the true domain label ${runs.map(({ over }) => nats(over.labelThenBest.interval)).join('; ')}; than kNN ${runs.map(({ over }) => nats(over.knn.interval)).join('; ')}.
- 90 % intervals hold ${each(({ coverageOneMask }) => coverageOneMask)} of the losses of one mask, which is what they are fitted on, and ${each(({ coverage }) => coverage)} of the means of four, which spread less.
- FLOPs saved by the weight of size that the train table allows for at most 1 % more loss: ${each(({ saving }) => saving.saved)} at ${each(({ saving }) => saving.lost)} more loss (weights ${runs.map(({ saving }) => saving.lambda).join(', ')} nats).

Chosen: ${runs.map(({ seed, choice }) => `seed ${seed}: ${choice.chosen}`).join('; ')}.

Loss by domain, seed ${runs[0].seed}:

${[
  ...head('domain', 'prompts', 'router', 'best single', 'oracle'),
  ...runs[0].domains.map(({ domain, n, router, single, oracle }) =>
    row(domain, n, f(router), f(single), f(oracle)),
  ),
].join('\n')}

Weights of size, seed ${runs[0].seed}:

${[...head('λ, nats', 'MFLOPs a token', 'loss, nats'), ...curve].join('\n')}
`;
}
