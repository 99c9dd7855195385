// Raw figures of router-results.mjs in docs/results/data/router.jsonl, a line for each router, and the page and pictures drawn from them.
import { readFileSync, writeFileSync } from 'node:fs';
import prettier from 'prettier';
import { curvePicture } from './curve-picture.mjs';
import { reliabilityPicture } from './reliability-picture.mjs';
import { picturesOf, resultsPage } from './results-page.mjs';

const FOLDER = 'docs/results';
const RAW = `${FOLDER}/data/router.jsonl`;
const COLOURS = { fast: '#1f6feb', accurate: '#c2410c', cascade: '#15803d' };
const DOTS = {
  bestSingle: 'best single',
  knn: 'kNN, vectors',
  tfidfKnn: 'kNN, TF-IDF',
  labelThenBest: 'task label',
};

/** The runs that are kept. */
export const readRuns = () =>
  readFileSync(RAW, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));

/** Keeps the raw figures of runs. */
export function keepRuns(runs) {
  writeFileSync(RAW, runs.map((run) => `${JSON.stringify(run)}\n`).join(''));
}

/** Writes the page and its pictures. */
export async function drawResults(runs) {
  const path = `${FOLDER}/router.md`;
  const options = { ...(await prettier.resolveConfig(path)), parser: 'markdown' };
  writeFileSync(path, await prettier.format(resultsPage(runs), options));
  for (const table of new Set(runs.map((run) => run.table))) {
    const own = runs.filter((run) => run.table === table && run.seed === runs[0].seed);
    const { curve, reliability } = picturesOf(table);
    writeFileSync(`${FOLDER}/${curve}`, curvePicture(curveOf(table, own)));
    writeFileSync(
      `${FOLDER}/${reliability}`,
      reliabilityPicture(own.map(reliabilityOf), 1, 'share of errors'),
    );
  }
}

/** Quality against the mean price, or against the share of calls to the stronger of two models. */
function curveOf(table, runs) {
  const isPriced = runs[0].test.meanCost !== null;
  const lines = runs.map(({ encoder, test }) => ({
    name: encoder,
    colour: COLOURS[encoder],
    points: test.pareto.map(({ meanCost, strongShare, quality }) => ({
      cost: isPriced ? meanCost : strongShare,
      quality,
    })),
  }));
  const { baselines, baselineCosts } = runs[0].test;
  const dots = Object.entries(isPriced ? DOTS : {}).map(([key, name]) => ({
    name,
    cost: baselineCosts[key],
    quality: baselines[key],
  }));
  const unit = isPriced ? 'mean price, USD per million tokens' : 'share of calls to the stronger model';
  return { title: `Quality against cost on ${table}`, unit, lines, dots };
}

function reliabilityOf({ encoder, test }) {
  const { reliability } = test.calibration.after;
  return { name: encoder, colour: COLOURS[encoder], bins: reliability };
}
