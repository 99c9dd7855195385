import { openBundle, writeBundle, type ExpertManifest } from '@thalamus/bundle';
import type { TrainingMethod } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import {
  HYPER_PARAMETERS,
  splitTraining,
  trainExpert,
  type ExpertRun,
  type FinishedRun,
} from '@thalamus/training';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { EXIT } from '../exit-codes.js';
import { onInterrupt } from '../interruption.js';
import { createOutput } from '../output.js';
import { hyperParametersOf } from '../training/hyper-options.js';
import { localTools, openLocalBase } from '../training/local-tools.js';
import { readRowsOf } from '../training/read-rows.js';
import { RunView } from '../training/run-view.js';

/** Options of `experts train --out`. */
export interface LocalTrainOptions {
  readonly json: boolean;
  readonly out: string;
  readonly task?: string;
  readonly name?: string;
  readonly data?: string;
  readonly test?: string;
  readonly base?: string;
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
  if (options.data === undefined) throw usage('Name the rows with --data file.csv.');
  const method = options.method ?? 'lora';
  const settings = {
    ...HYPER_PARAMETERS[method === 'probe' ? 'lora' : method],
    ...hyperParametersOf(options, method),
  };
  const data = readRowsOf(options.data, options.ignoreColumn);
  const test = options.test === undefined ? undefined : readRowsOf(options.test, options.ignoreColumn);
  const parts = splitTraining(data, test, options.seed);
  const work = `${out}.training`;
  if (options.restart) rmSync(work, { recursive: true, force: true });
  const tools = localTools(options.threads);
  const base = await openLocalBase(options.base, tools);
  makeFolder(work);
  const view = new RunView(options.json, join(work, 'log.jsonl'));
  const stop = new AbortController();
  const release = onInterrupt(() => {
    // The second Ctrl-C does not wait for the step.
    if (stop.signal.aborted) process.exit(EXIT.interrupted);
    stop.abort();
    createOutput(options.json).note(
      'Ending after this step; Ctrl-C again ends at once, without a checkpoint.',
    );
  });
  let keptAt = Date.now();
  try {
    const result = await trainExpert(
      {
        base,
        parts,
        method,
        settings,
        seed: options.seed,
        keepMethod: options.keepMethod,
        facts: factsOf(options, name, parts.train.length),
      },
      {
        signal: stop.signal,
        checkpointFile: join(work, 'checkpoint.safetensors'),
        checkpointDue: () => Date.now() - keptAt >= options.checkpointMinutes * 60_000,
        onCheckpoint: () => {
          keptAt = Date.now();
        },
        onProgress: (progress) => {
          // Nothing of the probe is kept: it takes seconds.
          if (stop.signal.aborted && progress.stage !== 'training') process.exit(EXIT.interrupted);
          view.progress(progress);
        },
        onEvent: (event) => {
          view.event(event);
        },
      },
    );
    view.end();
    if (result.kind === 'interrupted') {
      process.stderr.write(
        `Interrupted; a checkpoint is kept in ${work}. Run the same command again to go on from it, or add --restart to start anew.\n`,
      );
      process.exitCode = EXIT.interrupted;
      return;
    }
    const { digest } = await writeBundle(out, result.manifest, result.files);
    rmSync(work, { recursive: true, force: true });
    report(options, out, digest, result);
  } finally {
    view.end();
    release();
    await tools.runtime.close();
  }
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

/** Only an expert's own folder is replaced. @throws CONFIG_INVALID */
async function requireFree(out: string): Promise<void> {
  if (!existsSync(out)) return;
  const isExpert = await openBundle(out).then(
    () => true,
    () => false,
  );
  if (!isExpert)
    throw usage(`${out} exists and is no expert's bundle; name another folder with --out, or remove it.`);
}

function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true });
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'unknown fault';
    throw usage(`${folder} cannot be made (${code}); name another folder with --out.`);
  }
}

function usage(message: string): ThalamusError {
  return new ThalamusError('CONFIG_INVALID', message);
}
