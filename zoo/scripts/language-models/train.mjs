// Trains the zoo's masked language models: a generalist on all domains, then one expert a domain that begins with it.
//   npm run zoo:language-models -- --data DIR [--only NAME,NAME] [--threads 2]
// DIR holds <domain>.train.jsonl and <domain>.test.jsonl. A model that is there is left alone; Ctrl-C keeps a checkpoint,
// and the same command goes on from it.
import { openBundle, writeBundle } from '@thalamus/bundle';
import { OrtRuntime } from '@thalamus/inference';
import { HYPER_PARAMETERS, maskVocabulary, readMaskedLm, trainMaskedLmExpert } from '@thalamus/training';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { indexLanguageModels } from './index.mjs';
import {
  DOMAINS,
  expertName,
  GENERALIST,
  LANGUAGE_MODEL_VERSION,
  readDomain,
  spread,
  WINDOW_TOKENS,
  windowsOf,
} from './domains.mjs';
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
const CHECKPOINT_MS = 240_000;
const SETTINGS = {
  ...HYPER_PARAMETERS.lora,
  rowsPerBatch: 8,
  tokensPerBatch: 8 * WINDOW_TOKENS,
  maxTokens: WINDOW_TOKENS,
  validationsPerEpoch: 2,
  patience: 3,
};
const GENERALIST_SETTINGS = { ...SETTINGS, epochs: 1, rate: 2e-3, headRate: 1e-3, validationsPerEpoch: 6 };
const DOMAIN_SETTINGS = { ...SETTINGS, epochs: 2, rate: 1e-3, headRate: 5e-4, validationsPerEpoch: 1 };

const runtime = new OrtRuntime();
const base = await openZooBase(runtime, Number(values.threads));
const vocabulary = maskVocabulary(base.tokenizerJson);
const stop = new AbortController();
process.on('SIGINT', () => {
  if (stop.signal.aborted) process.exit(130);
  stop.abort();
  console.error('Ending after this step; Ctrl-C again ends at once, without a checkpoint.');
});

const domains = new Map(
  DOMAINS.map((about) => [about.domain, { about, ...readDomain(values.data, about.domain) }]),
);

const wanted = values.only?.split(',');
const isWanted = (name) => !wanted || wanted.includes(name);
if (isWanted(GENERALIST)) await train(GENERALIST, [...domains.values()], undefined);
const generalist = existsSync(join(OUT, GENERALIST)) ? await openBundle(join(OUT, GENERALIST)) : undefined;
for (const domain of domains.values()) {
  const name = expertName(domain.about.domain);
  if (!isWanted(name) || stop.signal.aborted) continue;
  if (!generalist) throw new Error(`Train ${GENERALIST} first: the others begin with it.`);
  await train(name, [domain], generalist);
}
await indexLanguageModels();
await runtime.close();
process.exit(stop.signal.aborted ? 130 : 0);

/** Trains a model on the expert rows of domains and writes its bundle. */
async function train(name, of, start) {
  const folder = join(OUT, name);
  if (existsSync(join(folder, 'expert.json'))) return;
  const isAll = of.length > 1;
  const windows = async (use, count = Infinity) =>
    (await Promise.all(of.map(async (domain) => spread(await windowsOf(base, domain[use]), count)))).flat();
  const work = join(WORK, name);
  mkdirSync(work, { recursive: true });
  let keptAt = Date.now();
  let tokens = 0;
  const startedAt = Date.now();
  const result = await trainMaskedLmExpert(
    {
      base,
      vocabulary,
      train: await windows('expert'),
      validation: await windows('validation', isAll ? 16 : 60),
      test: await windows('test', isAll ? 20 : 60),
      start: start && (await readMaskedLm(start, base)),
      settings: isAll ? GENERALIST_SETTINGS : DOMAIN_SETTINGS,
      seed: 0,
      facts: {
        name,
        version: LANGUAGE_MODEL_VERSION,
        description: isAll
          ? 'Fills masked words in texts of eleven domains.'
          : `Fills masked words in ${of[0].about.about}.`,
        licence: licenceOf(of),
        trainingData: of.map(({ about, expert }) => ({
          name: about.domain,
          licence: about.licence,
          origin: about.origin,
          rows: expert.length,
        })),
        ...(start
          ? { startedFrom: { name: GENERALIST, version: LANGUAGE_MODEL_VERSION, digest: start.digest } }
          : {}),
        seed: 0,
        date: DATE,
      },
      datasets: isAll
        ? { validation: 'domains', test: 'domains' }
        : { validation: of[0].about.domain, test: of[0].about.domain },
    },
    {
      signal: stop.signal,
      checkpointFile: join(work, 'checkpoint.safetensors'),
      checkpointDue: () => Date.now() - keptAt >= CHECKPOINT_MS,
      onCheckpoint: () => {
        keptAt = Date.now();
      },
      onEvent: (event) => {
        if (event.kind === 'validation')
          return console.log(
            `${name} step ${event.step}: validation ${event.figures.logLoss.toFixed(4)} nats`,
          );
        tokens += event.tokens;
        if (event.step % 50 === 0)
          console.log(
            `${name} ${event.step}/${event.totalSteps} loss ${event.loss.toFixed(3)}, ${Math.round((1000 * tokens) / (Date.now() - startedAt))} tokens/s`,
          );
      },
    },
  );
  if (result.kind === 'interrupted') return console.error(`${name}: interrupted, a checkpoint is kept.`);
  await writeBundle(folder, result.manifest, result.files);
  rmSync(work, { recursive: true, force: true });
  for (const row of result.manifest.evaluation)
    console.log(`${name} ${row.split} ${row.value.toFixed(4)} nats (${row.n} word pieces)`);
}

/** One licence, or all of them as an SPDX expression. */
function licenceOf(of) {
  return [...new Set(of.map(({ about }) => about.licence))].sort().join(' AND ');
}
