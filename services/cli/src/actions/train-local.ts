import type { ExpertManifest } from '@thalamus/bundle';
import type { TrainingMethod } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import {
  HYPER_PARAMETERS,
  MASKED_LM_HYPER_PARAMETERS,
  splitTraining,
  trainExpert,
  type ExpertRun,
  type FinishedRun,
  type HyperParameters,
} from '@thalamus/training';
import { basename, resolve } from 'node:path';
import { createOutput } from '../output.js';
import { hyperParametersOf } from '../training/hyper-options.js';
import { localTools, openLocalBase } from '../training/local-tools.js';
import { localRun, requireFree } from '../training/local-run.js';
import { isTextFile } from '../training/read-lines.js';
import { readRowsOf } from '../training/read-rows.js';
import { trainTextsLocal } from './train-texts-local.js';

/** Options of `experts train --out`. */
export interface LocalTrainOptions {
  readonly json: boolean;
  readonly out: string;
  readonly task?: string;
  readonly name?: string;
  readonly data?: string;
  readonly test?: string;
  readonly base?: string;
  /** Masked language model that the training begins with. */
  readonly from?: string;
  readonly licence: string;
  readonly origin: string;
  readonly ignoreColumn: readonly string[];
  readonly seed: number;
  readonly description?: string;
  readonly method?: TrainingMethod;
  readonly keepMethod: boolean;
  readonly threads?: number;
  readonly restart: boolean;
  readonly checkpointMinutes: number;
}

/**
 * Trains an expert in this process and writes its bundle to a folder; no mesh is needed. Ctrl-C keeps a checkpoint, and the
 * same command goes on from it.
 * @throws DATASET_INVALID, TRAINING_DIVERGED, ARTIFACT_STORE_FULL, CONFIG_INVALID
 */
export async function trainLocal(options: LocalTrainOptions): Promise<void> {
  const name = nameOf(options);
  const out = resolve(options.out);
  await requireFree(out);
  if (options.data === undefined)
    throw usage('Name the rows with --data file.csv, or texts with --data file.jsonl.');
  const method = options.method ?? 'lora';
  const settings = {
    ...HYPER_PARAMETERS[method === 'probe' ? 'lora' : method],
    ...hyperParametersOf(options, method),
  };
  if (isTextFile(options.data))
    return trainTextsLocal({ ...options, name, data: options.data, settings: textSettings(options) });
  refuseFrom(options);
  const data = readRowsOf(options.data, options.ignoreColumn);
  const test = options.test === undefined ? undefined : readRowsOf(options.test, options.ignoreColumn);
  const parts = splitTraining(data, test, options.seed);
  const tools = localTools(options.threads);
  try {
    const base = await openLocalBase(options.base, tools);
    const { seed, keepMethod } = options;
    const facts = factsOf(options, name, parts.train.length);
    const done = await localRun({ ...options, out }, (hooks) =>
      trainExpert({ base, parts, method, settings, seed, keepMethod, facts }, hooks),
    );
    if (done) report(options, out, done.digest, done.result);
  } finally {
    await tools.runtime.close();
  }
}

/** Settings of a masked language model: branches with small batches of windows. @throws CONFIG_INVALID */
function textSettings(options: LocalTrainOptions): HyperParameters {
  const { method, ignoreColumn } = options;
  if (method !== undefined && method !== 'lora')
    throw usage(`Masked language models are trained as lora; leave --method ${method} away.`);
  if (ignoreColumn.length > 0)
    throw usage('A file of texts has no columns; leave --ignore-column away, or give a CSV file.');
  return { ...MASKED_LM_HYPER_PARAMETERS, ...hyperParametersOf(options, 'lora') };
}

/** @throws CONFIG_INVALID: classifiers begin with the base */
function refuseFrom({ from }: LocalTrainOptions): void {
  if (from === undefined) return;
  throw usage('--from is for masked language models; leave it away, or give a JSONL file of texts.');
}

function factsOf(options: LocalTrainOptions, name: string, rows: number): ExpertRun['facts'] {
  const { licence, origin, seed, test, data = '' } = options;
  const dataset = basename(data);
  return {
    name,
    version: '1',
    description: options.description ?? `Classifies text by ${name}.`,
    licence,
    trainingData: [{ name: dataset, licence, origin, rows }],
    seed,
    date: new Date().toISOString().slice(0, 10),
    datasets: { validation: dataset, test: test === undefined ? dataset : basename(test) },
  };
}

function report(options: LocalTrainOptions, out: string, digest: string, result: FinishedRun): void {
  const { manifest, notes, method, probe, trained } = result;
  const { name, kind, labels, evaluation } = manifest;
  const value = {
    expert: name,
    kind,
    method,
    folder: out,
    digest,
    labels: labels?.length ?? 0,
    probe,
    trained,
    evaluation,
    notes,
  };
  createOutput(options.json).answer(value, () => [
    `${out}: ${name}, ${kind}, ${labels?.length ?? 0} labels, trained on ${rowsOf(manifest)} rows.`,
    ...evaluation.map(
      ({ dataset, split, metric, value: measured, n }) =>
        `  ${split.padEnd(10)} ${metric.padEnd(17)} ${measured.toFixed(4)}  (${dataset}, n ${n})`,
    ),
    ...(trained
      ? [
          `  probe, for comparison: validation accuracy ${probe.validation.accuracy.toFixed(4)}, test ${probe.test.accuracy.toFixed(4)}`,
        ]
      : []),
    ...notes.map((note) => `  ${note}`),
    '',
    `  npx thalamus experts show ${options.out}`,
    `  npx thalamus experts add ${options.out}        # to a running mesh`,
  ]);
}

function rowsOf({ trainingData }: Pick<ExpertManifest, 'trainingData'>): number {
  return trainingData.reduce((sum, { rows }) => sum + rows, 0);
}

function nameOf({ name, task, out }: LocalTrainOptions): string {
  const given = name ?? task ?? basename(out);
  const made = given.toLowerCase().replaceAll('_', '-');
  if (!/^[a-z0-9][a-z0-9-]{0,62}$/.test(made))
    throw usage(`"${given}" is no name of an expert; give --name with letters, digits and hyphens.`);
  return made;
}

function usage(message: string): ThalamusError {
  return new ThalamusError('CONFIG_INVALID', message);
}
