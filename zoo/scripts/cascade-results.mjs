// Cascades by confidence over services whose answers were measured, beside each service alone, and docs/results/cascade.md.
//   npm run results:cascade -- --data DIR     (DIR holds frugalml4_FERPLUS.jsonl.gz)
// Settings are chosen by cross-validation over four fifths of the rows; the last fifth is read once for each budget and seed.
import { pairedBootstrap } from '@thalamus/compatibility';
import { createRandom } from '@thalamus/tensor';
import { fitCascade, judgeCascade, readServiceTable, tryCascades } from '@thalamus/training';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import prettier from 'prettier';

const TABLE = 'frugalml4_FERPLUS';
const SEEDS = [1, 2, 3];
/** Of the price of the best single service. */
const BUDGETS = [0.01, 0.1, 0.25, 0.4, 0.5, 0.75, 1, 1.5];
const TEST = 0.2;

const { values } = parseArgs({ options: { data: { type: 'string' } } });
if (!values.data) {
  console.error('Name the folder of the tables with --data DIR.');
  process.exit(2);
}
const table = await readServiceTable(join(values.data, `${TABLE}.jsonl.gz`));
const { prices, services, labels } = table;
const mean = (list) => list.reduce((sum, value) => sum + value, 0) / list.length;
const rightBy = (rows, k) => rows.map(({ truth, answers }) => Number(answers[k].label === truth));

const runs = SEEDS.map((seed) => {
  const shuffled = createRandom(seed).shuffle(table.rows.map((_, at) => at));
  const cut = Math.floor((1 - TEST) * shuffled.length);
  const [fitted, test] = [shuffled.slice(0, cut), shuffled.slice(cut)].map((part) =>
    part.map((at) => table.rows[at]),
  );
  const single = prices.map((_, k) => mean(rightBy(fitted, k)));
  const best = single.indexOf(Math.max(...single));
  const tried = tryCascades(fitted, labels, prices);
  const bestRight = rightBy(test, best);
  const budgets = BUDGETS.map((share) => {
    const cascade = fitCascade(fitted, labels, prices, tried, share * prices[best]);
    const outcome = judgeCascade(cascade, test);
    const over = Array.from(outcome.right, (right, at) => right - bestRight[at]);
    const { low, high } = pairedBootstrap(over, { seed, resamples: 1000 });
    return {
      share,
      accuracy: mean([...outcome.right]),
      price: mean([...outcome.prices]),
      over: [low, high],
    };
  });
  console.log(
    `seed ${seed}: ${services[best]} ${mean(bestRight).toFixed(4)} at ${prices[best]}; ${budgets.map(({ share, accuracy, price }) => `${share}: ${accuracy.toFixed(4)} at ${price.toFixed(2)}`).join('; ')}`,
  );
  return {
    seed,
    n: test.length,
    best,
    singles: prices.map((_, k) => mean(rightBy(test, k))),
    oracle: mean(test.map(({ truth, answers }) => Number(answers.some(({ label }) => label === truth)))),
    budgets,
  };
});

const over = (of) => mean(runs.map(of));
const digits = (value) => value.toFixed(4);
const singles = services.map(
  (name, k) => `| ${name} alone | ${prices[k]} | ${digits(over(({ singles }) => singles[k]))} | | |`,
);
const cascades = BUDGETS.map((share, at) => {
  const own = runs.map(({ budgets }) => budgets[at]);
  return `| cascade, budget ${share} of the best service’s price | ${over(({ budgets }) => budgets[at].price).toFixed(2)} | ${digits(over(({ budgets }) => budgets[at].accuracy))} | ${own.map(({ accuracy }) => digits(accuracy)).join(', ')} | ${own.map(({ over: [low, high] }) => `${digits(low)} to ${digits(high)}`).join('; ')} |`;
});
const page = `# Cascades by confidence

Made by \`npm run results:cascade -- --data DIR\`, where DIR holds the public table ${TABLE} (${table.licence}): ${table.rows.length} pictures of faces, the labels and confidences of ${services.length} services, no prompts. A cascade asks one service after the other: always the one whose answer is worth most beyond its price, by the posterior of the label given what was said so far, until none is worth it (\`libs/routing/src/cascade\`). How services answer by the true label is counted; bins of confidence, how much a further answer counts and the weight of the price are chosen by five-fold cross-validation over four fifths of the rows. The last fifth (${runs.map(({ n }) => n).join(', ')} rows) is read once for each budget and seed (${SEEDS.join(', ')}).

Prices are USD for 10,000 answers; the best single service by the fitted rows is ${[...new Set(runs.map(({ best }) => services[best]))].join(', ')}; some service is right on ${digits(over(({ oracle }) => oracle))} of the rows.

| | mean price | accuracy | each seed | better than the best service by (95 %, each seed) |
| --- | --- | --- | --- | --- |
${singles.join('\n')}
${cascades.join('\n')}
`;
const path = 'docs/results/cascade.md';
writeFileSync(
  path,
  await prettier.format(page, { ...(await prettier.resolveConfig(path)), parser: 'markdown' }),
);
