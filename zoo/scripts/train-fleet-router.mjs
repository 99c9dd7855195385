// Writes the two remote experts of the fleet and the router model that chooses between them.
//   npm run zoo:fleet        (reads zoo/fleet/gsm8k.jsonl.gz, which is committed)
// The loss is 1 for a wrong answer, 0 for a right one. Prompts are cut once by a hash of their text: 50 % fit the heads,
// 15 % choose the regularisation, 15 % calibrate the intervals, 20 % are read once for the figures.
import { digestOf, float32Tensor, writeBundle, writeRouterBundle, writeSafetensors } from '@thalamus/bundle';
import { predictLosses } from '@thalamus/routing';
import {
  bootstrapMean,
  encodeLossTable,
  fitLinearLosses,
  residualInterval,
  routingOutcomes,
  sphericalKMeans,
} from '@thalamus/training';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { gunzipSync, gzipSync } from 'node:zlib';
import { embedAll, openBase } from './embeddings.mjs';

const DATE = '2026-11-25';
const SEED = 7;
const COVERAGE = 0.9;
const REPLAY = 'http://127.0.0.1:8082/v1';
const width = 384;
/** Shown to people who try the fleet: short, and without a character that a shell would read. */
const SAMPLE = 'If 6 potatoes makes 36 hash browns, how many hash browns can you make out of 96 potatoes?';

const MODELS = [
  {
    expert: 'mixtral-8x7b',
    model: 'mixtral-8x7b-instruct-v0.1',
    description: 'Mixtral 8x7B Instruct: an open mixture of experts, fast and cheap.',
    licence: 'Apache-2.0',
    parameterCount: 46_702_792_704,
    // 12.9 billion active parameters, two operations each.
    flopsPerToken: 25_800_000_000,
    maxTokens: 32_768,
    price: [0.6, 0.6],
    released: '2023-12-11',
  },
  {
    expert: 'gpt-4-1106',
    model: 'gpt-4-1106-preview',
    description: 'GPT-4 Turbo of November 2023: strong, slow and dear. Its size is not published.',
    licence: 'LicenseRef-proprietary',
    parameterCount: 0,
    flopsPerToken: 0,
    maxTokens: 128_000,
    price: [10, 30],
    released: '2023-11-06',
  },
];
const K = MODELS.length;

const RECORDINGS = 'fleet/gsm8k.jsonl.gz';
const recordings = readFileSync(`zoo/${RECORDINGS}`);
const [head, ...lines] = gunzipSync(recordings).toString('utf8').trimEnd().split('\n');
const { meta } = JSON.parse(head);
const rows = lines.map((line) => JSON.parse(line));
const base = await openBase();
const features = await embedAll(
  base,
  rows.map(({ prompt }) => prompt),
  'gsm8k',
);

const bucket = (prompt) =>
  Number.parseInt(createHash('sha256').update(`fleet-v1\n${prompt}`).digest('hex').slice(0, 8), 16) % 100;
const useOf = (prompt) => {
  const at = bucket(prompt);
  if (at < 50) return 'router';
  if (at < 65) return 'choose';
  return at < 80 ? 'calibrate' : 'test';
};
const parts = Object.fromEntries(
  ['router', 'choose', 'calibrate', 'test'].map((use) => {
    const indices = rows.map((_, at) => at).filter((at) => useOf(rows[at].prompt) === use);
    const vectors = new Float32Array(indices.length * width);
    indices.forEach((from, to) =>
      vectors.set(features.subarray(from * width, (from + 1) * width), to * width),
    );
    const losses = Float64Array.from(indices.flatMap((at) => rows[at].scores.map((score) => 1 - score)));
    return [use, { indices, features: vectors, losses }];
  }),
);
const mean = (list) => list.reduce((sum, x) => sum + x, 0) / list.length;
const fitRows = {
  features: parts.router.features,
  dimension: width,
  losses: parts.router.losses,
  candidates: K,
};
const squaredError = (heads, part) => {
  const predicted = predictLosses(heads, part.features);
  return mean(Array.from(part.losses, (loss, at) => (loss - predicted[at]) ** 2));
};
const tried = [0.01, 0.03, 0.1, 0.3, 1, 3].map((l2) => {
  const heads = fitLinearLosses(fitRows, l2);
  return { l2, heads, error: squaredError(heads, parts.choose) };
});
const { heads, l2 } = tried.reduce((a, b) => (b.error < a.error ? b : a));
console.log(
  'Brier score on the choosing rows:',
  tried.map((item) => `l2 ${item.l2}: ${item.error.toFixed(4)}`).join(', '),
);

const predictedCalibration = predictLosses(heads, parts.calibrate.features);
const intervals = MODELS.map(({ expert }, k) => {
  const residuals = parts.calibrate.indices.map(
    (_, at) => parts.calibrate.losses[at * K + k] - predictedCalibration[at * K + k],
  );
  return { expert, ...residualInterval(residuals, COVERAGE) };
});

const evaluated = (value, n, metric) => ({
  dataset: 'gsm8k-recorded',
  split: 'test',
  metric,
  value: Number(value.toFixed(6)),
  n,
  date: DATE,
});
const test = parts.test;
const accuracy = (k) => 1 - mean(test.indices.map((_, at) => test.losses[at * K + k]));
const written = [];
for (const [k, item] of MODELS.entries()) {
  const folder = `zoo/fleet/${item.expert}`;
  const { digest } = await writeBundle(
    folder,
    {
      schemaVersion: 1,
      name: item.expert,
      version: '1',
      kind: 'upstream',
      task: 'text-generation',
      description: item.description,
      upstream: {
        baseUrl: REPLAY,
        model: item.model,
        priceInputUsdPerMtok: item.price[0],
        priceOutputUsdPerMtok: item.price[1],
      },
      maxTokens: item.maxTokens,
      parameterCount: item.parameterCount,
      flopsPerToken: item.flopsPerToken,
      precision: 'float16',
      licence: item.licence,
      trainingData: [],
      evaluation: [evaluated(accuracy(k), test.indices.length, 'accuracy')],
      trust: { signed: false, scanned: false, backdoorTested: false },
      releaseDate: item.released,
    },
    {},
  );
  written.push({ expert: item.expert, version: '1', digest, folder: `fleet/${item.expert}` });
}

const table = encodeLossTable({
  meta: {
    set: 'fleet-v0',
    task: 'text-generation',
    lossUnit: 'error',
    experts: written.map(({ expert, version, digest }) => ({ expert, version, digest })),
    licence: meta.licence,
    origin: meta.origin,
    n: rows.length - test.indices.length,
  },
  rows: ['router', 'choose', 'calibrate'].flatMap((use) =>
    parts[use].indices.map((row, at) => ({
      id: `gsm8k:${rows[row].id}`,
      task: 'text-generation',
      use: use === 'router' ? 'router' : 'validation',
      losses: Array.from(parts[use].losses.subarray(at * K, (at + 1) * K)),
    })),
  ),
});
writeFileSync('zoo/fleet/losses.jsonl.gz', gzipSync(table, { level: 9 }));

// What routing buys on the test rows: quality against share of dear calls, for several weights of the cost.
const predicted = predictLosses(heads, test.features);
const costOf = (price) => Math.min(1, price / 10);
const curve = [0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5].map((lambda) => {
  const totals = Float64Array.from(predicted, (loss, at) => loss + lambda * costOf(MODELS[at % K].price[0]));
  const outcomes = routingOutcomes({ predicted: totals, measured: test.losses, candidates: K });
  return {
    lambda,
    right: bootstrapMean(
      outcomes.routed.map((loss) => 1 - loss),
      SEED,
    ),
    dear: mean(outcomes.chosen.map((k) => (k === 1 ? 1 : 0))),
  };
});
const oracle = mean(
  routingOutcomes({ predicted, measured: test.losses, candidates: K }).oracle.map((loss) => 1 - loss),
);

const router = await writeRouterBundle(
  'zoo/fleet/fleet-router',
  {
    schemaVersion: 1,
    name: 'fleet-router',
    version: '2',
    task: 'text-generation',
    lossUnit: 'error',
    description:
      'Predicts whether Mixtral 8x7B and GPT-4 Turbo get a word problem wrong, from the frozen sentence encoder.',
    encoder: {
      name: base.bundle.manifest.name,
      digest: base.bundle.digest,
      maxTokens: base.bundle.manifest.maxTokens,
      dimension: width,
    },
    candidates: written.map(({ expert, version, digest }) => ({
      expert,
      version,
      digest,
      fittedOn: { lossTable: digestOf(Buffer.from(table)), rows: parts.router.indices.length },
    })),
    heads: { kind: 'linear', file: 'heads.safetensors' },
    costScales: {
      size: { unit: 'flopsPerToken', transform: 'log10', min: 1e6, max: 1e12 },
      recency: { unit: 'days', transform: 'linear', min: 0, max: 1095 },
      latency: { unit: 'milliseconds', transform: 'log10', min: 1, max: 60_000 },
      cost: { unit: 'usdPerMillionTokens', transform: 'linear', min: 0, max: 10 },
      security: { unit: 'distrust', transform: 'linear', min: 0, max: 1 },
    },
    verbalLevels: { low: 0.05, medium: 0.15, high: 0.5 },
    calibration: { coverage: COVERAGE, intervals },
    regionCount: 8,
    licence: 'Apache-2.0',
    trainingData: [
      {
        name: 'gsm8k-recorded',
        licence: 'Apache-2.0',
        origin: meta.origin,
        rows: parts.router.indices.length,
      },
    ],
    evaluation: [evaluated(squaredError(heads, test), test.indices.length, 'brier')],
    releaseDate: DATE,
  },
  {
    'heads.safetensors': writeSafetensors({
      'heads.weight': float32Tensor([K, width], heads.weights),
      'heads.bias': float32Tensor([K], heads.bias),
      'regions.centroids': float32Tensor([8, width], sphericalKMeans(parts.router.features, width, 8, SEED)),
    }),
  },
);
if (!rows.some(({ prompt }) => prompt === SAMPLE)) throw new Error('SAMPLE is none of the recorded prompts.');
const index = JSON.parse(readFileSync('zoo/zoo.json', 'utf8'));
index.fleet = {
  recordings: { file: RECORDINGS, digest: digestOf(recordings) },
  sample: SAMPLE,
  experts: written.map(({ folder, digest }) => ({ folder, digest })),
  routers: [{ folder: 'fleet/fleet-router', digest: router.digest }],
};
writeFileSync('zoo/zoo.json', `${JSON.stringify(index, null, 2)}\n`);

const report = `# Fleet router v0

Which of two remote models to ask a word problem (GSM8K, recorded answers of both: \`zoo/fleet/gsm8k.jsonl.gz\`, ${meta.licence}).
Loss is 1 for a wrong answer. Linear heads on frozen sentence vectors, ridge ${l2}; ${parts.router.indices.length} prompts fit, ${parts.choose.indices.length} choose,
${parts.calibrate.indices.length} calibrate, ${test.indices.length} are read once for the figures below. Made by \`npm run zoo:fleet\`, which writes this page.

Always Mixtral: ${(100 * accuracy(0)).toFixed(1)} % right. Always GPT-4: ${(100 * accuracy(1)).toFixed(1)} %. Oracle: ${(100 * oracle).toFixed(1)} %.
Brier score ${squaredError(heads, test).toFixed(4)}; of always predicting each model's mean ${mean(MODELS.map((_, k) => accuracy(k) * (1 - accuracy(k)))).toFixed(4)}.

| weight of the cost | right | 95 % interval | asked GPT-4 |
|---|---|---|---|
${curve.map(({ lambda, right, dear }) => `| ${lambda} | ${(100 * right.value).toFixed(1)} % | ${right.interval.map((x) => (100 * x).toFixed(1)).join(' to ')} | ${(100 * dear).toFixed(1)} % |`).join('\n')}

Limits: the words of a problem say little about which model will slip on it. The curve runs close to the line between the
two models: weights of the cost buy money at nearly the going rate.
`;
writeFileSync('docs/results/fleet-router-v0.md', report);
console.log(report);
console.log('npm run zoo:router-reports -- --data DIR puts its evaluation for the console into the bundle.');
process.exit(0);
