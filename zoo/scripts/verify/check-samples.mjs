// Measures every expert of the zoo on its committed sample, from the committed bundle, against zoo/data/sample/figures.json.
import { openBundle } from '@thalamus/bundle';
import { OrtRuntime } from '@thalamus/inference';
import { maskVocabulary, openMaskedLm, readTextLines } from '@thalamus/training';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openBase } from '../embeddings.mjs';
import { DOMAINS, expertName, spread, windowsOf } from '../language-models/domains.mjs';
import { LANGUAGE_MODELS } from '../language-models/index.mjs';
import { figuresOf, openServed } from '../served-experts.mjs';
import { TASKS } from '../tasks.mjs';
import { readSample } from './check-index.mjs';
import { differs, figureDiffers } from './report.mjs';
import { openZooBase } from '../training-base.mjs';

/** Windows of each domain that a model of all domains is measured on. */
const SHARED_WINDOWS = 4;

/** Answers of a sample of 200 that another processor's rounding may move. */
export const ROUNDED_ANSWERS = 2;

export const readFigures = (zoo) => JSON.parse(readFileSync(join(zoo, 'data/sample/figures.json'), 'utf8'));

/** Right answers of every classifier on its sample: { n, right } by set. */
export async function measureClassifierSamples(zoo, base) {
  const figures = {};
  for (const [at, expert] of (await openServed(zoo, TASKS, base)).entries()) {
    const { set } = TASKS[at];
    const { n, accuracy } = await figuresOf(expert, readSample(zoo, set, 'test'));
    figures[set] = { n, right: Math.round(accuracy * n) };
  }
  return figures;
}

/**
 * Nats a hidden word piece of every masked language model on the sample of its domain; of those without a domain of their own, on
 * some windows of all. { n, nats } by name.
 */
export async function measureLanguageModelSamples(zoo) {
  const runtime = new OrtRuntime();
  const base = await openZooBase(runtime, 2, zoo);
  const vocabulary = maskVocabulary(base.tokenizerJson);
  const windows = new Map();
  for (const { domain } of DOMAINS) {
    const file = join(zoo, `data/sample/${domain}.test.jsonl`);
    windows.set(expertName(domain), await windowsOf(base, readTextLines(readFileSync(file), file)));
  }
  const shared = [...windows.values()].flatMap((list) => spread(list, SHARED_WINDOWS));
  const figures = {};
  for (const name of LANGUAGE_MODELS) {
    const folder = join(zoo, 'language-models', name);
    if (!existsSync(join(folder, 'expert.json'))) continue;
    const model = await openMaskedLm(await openBundle(folder), base, vocabulary);
    const losses = await model.rowLosses(windows.get(name) ?? shared);
    await model.release();
    const sum = (of) => losses.reduce((all, row) => all + row[of], 0);
    figures[name] = { n: sum('pieces'), nats: Number((sum('nats') / sum('pieces')).toFixed(6)) };
  }
  await runtime.close();
  return figures;
}

/** Every figure of the samples, measured again. */
export async function checkSampleFigures(zoo, tolerance, report) {
  const committed = readFigures(zoo);
  const base = await openBase(join(zoo, 'base/minilm-l6'));
  const found = await measureClassifierSamples(zoo, base);
  const faults = Object.entries(found).flatMap(([set, { n, right }]) => [
    ...differs(`rows of the sample of ${set}`, n, committed.classifiers[set]?.n),
    ...(Math.abs(right - committed.classifiers[set]?.right) <= ROUNDED_ANSWERS
      ? []
      : [`${right} answers of the sample of ${set} are right, not ${committed.classifiers[set]?.right}`]),
  ]);
  const answers = Object.values(found).reduce((sum, { right }) => sum + right, 0);
  report.add(
    'classifiers on their samples',
    faults,
    `${answers} right answers in ${Object.keys(found).length} samples`,
  );
  const models = await measureLanguageModelSamples(zoo);
  const lossFaults = Object.entries(models).flatMap(([name, { n, nats }]) => [
    ...differs(`word pieces of the sample of ${name}`, n, committed.languageModels[name]?.n),
    ...figureDiffers(`nats of ${name} on its sample`, nats, committed.languageModels[name]?.nats, tolerance),
  ]);
  report.add('language models on their samples', lossFaults, `${Object.keys(models).length} models`);
}
