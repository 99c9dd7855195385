// Distils small masked language models from the generalist: some of its layers, its word embeddings in two factors, then trained on
// the generalist's answers and the hidden tokens. Stored as int8: see small-models.mjs.
//   npm run zoo:small-models -- --data DIR [--only NAME] [--threads 2]
// DIR holds <domain>.train.jsonl and <domain>.test.jsonl. A model that is there is left alone; Ctrl-C keeps a checkpoint, and the same
// command goes on from it.
import { MANIFEST_SCHEMA_VERSION, openBundle, writeBundle } from '@thalamus/bundle';
import { OrtRuntime } from '@thalamus/inference';
import { WORD_PROJECTION } from '@thalamus/onnx-graph';
import { tensor } from '@thalamus/tensor';
import {
  foldBranches,
  HYPER_PARAMETERS,
  JUDGING_MASKS,
  keptRun,
  maskedLmGraph,
  MaskedLmModel,
  maskVocabulary,
  prepareMaskedLm,
  readMaskedLm,
  resumableRun,
  trainedWeights,
  trainingFiles,
  withHead,
} from '@thalamus/training';
import { EigenvalueDecomposition, Matrix } from 'ml-matrix';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { indexLanguageModels } from './index.mjs';
import {
  DOMAINS,
  GENERALIST,
  LANGUAGE_MODEL_VERSION,
  readDomain,
  spread,
  WINDOW_TOKENS,
  windowsOf,
} from './domains.mjs';
import { judgingWindows, measureSmall } from './small-figures.mjs';
import { SMALL_MODELS, storedSmall } from './small-models.mjs';
import { openZooBase } from '../training-base.mjs';

const { values } = parseArgs({
  options: {
    data: { type: 'string' },
    only: { type: 'string' },
    threads: { type: 'string', default: '2' },
  },
});
if (!values.data) {
  console.error('Name the folder of the JSONL files with --data DIR.');
  process.exit(2);
}
const DATE = '2026-11-28';
const OUT = 'zoo/language-models';
const WORK = 'node_modules/.cache/thalamus/training';
const WORDS = 'embeddings.word_embeddings.weight';
const CHECKPOINT_MS = 240_000;
const SETTINGS = {
  ...HYPER_PARAMETERS.full,
  epochs: 1,
  rate: 5e-4,
  headRate: 5e-4,
  rowsPerBatch: 8,
  tokensPerBatch: 8 * WINDOW_TOKENS,
  maxTokens: WINDOW_TOKENS,
  validationsPerEpoch: 4,
};
/** Share of the experts' windows that a small model sees, evenly spaced, so of every domain. */
const TRAINING_SHARE = 1 / 3;
const TEACHING = { temperature: 2, share: 0.5 };

const runtime = new OrtRuntime();
const threads = Number(values.threads);
const base = await openZooBase(runtime, threads);
const vocabulary = maskVocabulary(base.tokenizerJson);
const masks = { vocabulary, ...JUDGING_MASKS };
const generalist = await openBundle(join(OUT, GENERALIST));
const { factors, scale, head } = await readMaskedLm(generalist, base);
const teacherWeights = withHead(foldBranches(base.read.weights, factors, scale), head);
const domains = DOMAINS.map((about) => ({ about, ...readDomain(values.data, about.domain) }));
const everything = (await Promise.all(domains.map(({ expert }) => windowsOf(base, expert)))).flat();
const judged = await judgingWindows(base, domains);
const train = spread(everything, Math.floor(everything.length * TRAINING_SHARE));
const stop = new AbortController();
process.on('SIGINT', () => {
  if (stop.signal.aborted) process.exit(130);
  stop.abort();
  console.error('Ending after this step; Ctrl-C again ends at once, without a checkpoint.');
});
for (const small of SMALL_MODELS) {
  if (stop.signal.aborted || (values.only && values.only !== small.name)) continue;
  if (!existsSync(join(OUT, small.name, 'expert.json'))) await distil(small);
}
await indexLanguageModels();
await runtime.close();
process.exit(stop.signal.aborted ? 130 : 0);

async function distil(small) {
  const { name } = small;
  const config = { ...base.read.config, layers: small.layers.length };
  const start = smallWeights(small);
  const teacher = await MaskedLmModel.open(
    runtime,
    maskedLmGraph(base.read.config, teacherWeights),
    new Set(),
    threads,
  );
  const prepared = prepareMaskedLm({
    config,
    weights: start,
    runtime,
    threads,
    method: 'full',
    train,
    validation: judged.validation,
    masks,
    settings: SETTINGS,
    seed: 0,
    teacher: { model: teacher, ...TEACHING },
  });
  const work = join(WORK, name);
  mkdirSync(work, { recursive: true });
  let keptAt = Date.now();
  let tokens = 0;
  const startedAt = Date.now();
  const key = JSON.stringify([generalist.digest, small, SETTINGS, TEACHING, train.length]);
  const hooks = {
    signal: stop.signal,
    checkpointFile: join(work, 'checkpoint.safetensors'),
    checkpointDue: () => Date.now() - keptAt >= CHECKPOINT_MS,
    onCheckpoint: () => {
      keptAt = Date.now();
    },
    onEvent: (event) => {
      if (event.kind === 'validation')
        return console.log(`${name} step ${event.step}: validation ${event.figures.logLoss.toFixed(4)} nats`);
      tokens += event.tokens;
      if (event.step % 50 === 0)
        console.log(
          `${name} ${event.step}/${event.totalSteps} loss ${event.loss.toFixed(3)}, ${Math.round((1000 * tokens) / (Date.now() - startedAt))} tokens/s`,
        );
    },
  };
  const { loop, events } = resumableRun(key, prepared.parameters, hooks, { kept: keptRun(key, hooks) });
  const outcome = await prepared.run(loop);
  await teacher.release();
  if (outcome.kind === 'interrupted') return console.error(`${name}: interrupted, a checkpoint is kept.`);
  const trained = { config, weights: trainedWeights(start, prepared.parameters) };
  const bytes = storedSmall(trained, small, base.manifest.maxTokens);
  const evaluation = await measureSmall(bytes, judged, { base, date: DATE });
  const manifest = manifestOf(small, evaluation, outcome.state.optimiser.step);
  await writeBundle(join(OUT, name), manifest, {
    'model.onnx': bytes,
    'tokenizer.json': base.tokenizerJson,
    ...trainingFiles(name, events),
  });
  rmSync(work, { recursive: true, force: true });
  for (const row of evaluation)
    console.log(`${name} ${row.split} ${row.value.toFixed(4)} nats (${row.n} word pieces)`);
}

/** The chosen layers of the generalist, renumbered, and its word embeddings as the best two factors of that size. */
function smallWeights({ layers, embedding }) {
  const weights = new Map();
  for (const [name, value] of teacherWeights) {
    const [, layer, rest] = /^encoder\.layer\.(\d+)\.(.+)$/.exec(name) ?? [];
    if (layer === undefined) weights.set(name, value);
    else if (layers.includes(Number(layer)))
      weights.set(`encoder.layer.${layers.indexOf(Number(layer))}.${rest}`, value);
  }
  const { inner, projection } = twoFactors(teacherWeights.get(WORDS), embedding);
  return weights.set(WORDS, inner).set(WORD_PROJECTION, projection);
}

/** W [vocabulary, hidden] as inner [vocabulary, size] and projection [hidden, size]: the eigenvectors of W^T W (Eckart and Young 1936). */
function twoFactors({ shape: [rows, width], data: values }, size) {
  const gram = Matrix.zeros(width, width);
  for (let row = 0; row < rows; row++) {
    const own = values.subarray(row * width, (row + 1) * width);
    for (let a = 0; a < width; a++)
      for (let b = a; b < width; b++) gram.set(a, b, gram.get(a, b) + own[a] * own[b]);
  }
  for (let a = 0; a < width; a++) for (let b = 0; b < a; b++) gram.set(a, b, gram.get(b, a));
  const { realEigenvalues, eigenvectorMatrix } = new EigenvalueDecomposition(gram, { assumeSymmetric: true });
  const order = Array.from(realEigenvalues.keys()).sort((a, b) => realEigenvalues[b] - realEigenvalues[a]);
  const projection = new Float32Array(width * size);
  for (let at = 0; at < size; at++)
    for (let a = 0; a < width; a++) projection[a * size + at] = eigenvectorMatrix.get(a, order[at]);
  const inner = new Float32Array(rows * size);
  for (let row = 0; row < rows; row++)
    for (let at = 0; at < size; at++) {
      let sum = 0;
      for (let a = 0; a < width; a++) sum += values[row * width + a] * projection[a * size + at];
      inner[row * size + at] = sum;
    }
  return {
    inner: tensor('float32', [rows, size], inner),
    projection: tensor('float32', [width, size], projection),
  };
}

function manifestOf({ name, layers, embedding }, evaluation, steps) {
  const { hiddenSize } = base.read.config;
  const { parameterCount, flopsPerToken, maxTokens } = base.manifest;
  const [words] = teacherWeights.get(WORDS).shape;
  const [inLayers, ofLayers] = [base.read.config.layers, layers.length];
  const layerParameters = (parameterCount - words * hiddenSize) / inLayers;
  const projected = embedding * hiddenSize;
  return {
    schemaVersion: MANIFEST_SCHEMA_VERSION,
    name,
    version: LANGUAGE_MODEL_VERSION,
    kind: 'full',
    task: 'fill-mask',
    description: `Fills masked words in texts of eleven domains; ${layers.length} of six layers, distilled.`,
    maxTokens,
    parameterCount: Math.round(layerParameters * ofLayers) + words * embedding + projected,
    flopsPerToken: (flopsPerToken * ofLayers) / inLayers + 2 * projected,
    precision: 'int8',
    licence: [...new Set(DOMAINS.map(({ licence }) => licence))].sort().join(' AND '),
    trainingData: domains.map(({ about, expert }) => ({
      name: about.domain,
      licence: about.licence,
      origin: about.origin,
      rows: expert.length,
    })),
    lineage: {
      recipe: `distilled: layers ${layers.join(', ')} of the teacher, word embeddings of inner size ${embedding}, temperature ${TEACHING.temperature}, teacher's share ${TEACHING.share}, ${train.length} windows, AdamW, rate ${SETTINGS.rate}, ${SETTINGS.schedule}, ${steps} steps`,
      parents: [{ name: GENERALIST, version: LANGUAGE_MODEL_VERSION, digest: generalist.digest }],
      seed: 0,
    },
    evaluation,
    trust: { signed: false, scanned: true, backdoorTested: false },
    releaseDate: DATE,
  };
}
