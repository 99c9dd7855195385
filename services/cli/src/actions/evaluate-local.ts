import { openBundle, type ExpertManifest, type OpenedBundle } from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import {
  classificationMetrics,
  cutTextsNote,
  labelled,
  openClassifier,
  predictionFile,
  requireLabels,
  writeWhole,
  type NamedRows,
} from '@thalamus/training';
import { createOutput } from '../output.js';
import { localTools, openLocalBase } from '../training/local-tools.js';
import { readRowsOf } from '../training/read-rows.js';
import { requirePlaceFor } from '../training/require-place.js';
import { RunView } from '../training/run-view.js';
import { isTextFile } from '../training/read-lines.js';
import { evaluateTextsLocal } from './evaluate-texts-local.js';

/** Options of `experts evaluate FOLDER`. */
export interface LocalEvaluateOptions {
  readonly json: boolean;
  readonly data?: string;
  readonly base?: string;
  readonly predictions?: string;
  readonly ignoreColumn: readonly string[];
  readonly threads?: number;
}

/**
 * Answers labelled rows with the bundle of a folder in this process and measures it. Labels are checked before anything runs.
 * @throws DATASET_INVALID, BUNDLE_INVALID for a bundle over another base, METHOD_UNSUPPORTED
 */
export async function evaluateLocal(folder: string, options: LocalEvaluateOptions): Promise<void> {
  if (options.data === undefined)
    throw new ThalamusError(
      'CONFIG_INVALID',
      'Name the rows with --data file.csv, or texts with --data file.jsonl.',
    );
  requirePlaceFor(options.predictions);
  const expert = await openBundle(folder);
  const { name, kind, task, labels = [] } = expert.manifest;
  if (task === 'fill-mask' && options.ignoreColumn.length > 0)
    throw new ThalamusError(
      'CONFIG_INVALID',
      `${name} fills masked words: it is measured on texts, which have no columns; leave --ignore-column away.`,
    );
  if (task === 'fill-mask')
    return evaluateTextsLocal(expert, { ...options, data: requireTexts(options.data, name) });
  const data = readRowsOf(options.data, options.ignoreColumn);
  requireLabels(data, new Set(labels), name);
  const scores = await answersOf(expert, data, options);
  if (options.predictions !== undefined)
    await writeWhole(
      options.predictions,
      new TextEncoder().encode(predictionFile(data.rows, scores, labels)),
    );
  const truth = { features: new Float32Array(), labels: data.rows.map(({ label }) => label) };
  const metrics = classificationMetrics(scores, labelled(truth, labels, 0).classes, labels.length);
  createOutput(options.json).answer(metrics, () => [
    `${name}, ${kind}, on ${options.data ?? ''} (n ${metrics.n}):`,
    ...Object.entries(metrics)
      .filter(([figure]) => figure !== 'n')
      .map(([figure, value]) => `  ${figure.padEnd(17)} ${Number(value).toFixed(4)}`),
    ...(options.predictions === undefined ? [] : [`  predictions ${options.predictions}`]),
  ]);
}

/** Log-probabilities [rows, labels]; texts that were cut are said on standard error. */
async function answersOf(
  expert: OpenedBundle<ExpertManifest>,
  { rows, file }: NamedRows,
  options: LocalEvaluateOptions,
): Promise<Float64Array> {
  const tools = localTools(options.threads);
  const view = new RunView(options.json, undefined);
  try {
    const base = expert.manifest.base ? await openLocalBase(options.base, tools) : undefined;
    const classifier = await openClassifier(expert, { ...tools, base });
    const scores = await classifier.answer(
      rows.map(({ text }) => text),
      (done) => {
        view.progress({ stage: 'measuring', done, total: rows.length });
      },
    );
    await classifier.release();
    const tokens = base?.tokens ?? tools.readTokenizer(await expert.readFile('tokenizer.json'));
    view.end();
    for (const note of await cutTextsNote(tokens, rows, expert.manifest.maxTokens))
      process.stderr.write(`${file}: ${note}\n`);
    return scores;
  } finally {
    view.end();
    await tools.runtime.close();
  }
}

/** @throws DATASET_INVALID for labelled rows: a masked language model is measured on texts */
function requireTexts(path: string, name: string): string {
  if (isTextFile(path)) return path;
  throw new ThalamusError(
    'DATASET_INVALID',
    `${name} fills masked words; measure it on texts, a file such as notes.jsonl with {"text": "..."} on each line.`,
  );
}
