import { openBundle, writeBundle } from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import {
  MASKED_LM_HYPER_PARAMETERS,
  readMaskedLm,
  requireMask,
  splitTexts,
  textWindows,
  trainMaskedLmExpert,
  type RunHooks,
  type TextLine,
} from '@thalamus/training';
import type { JobWork, WorkResult } from '../application/job-process.port.js';
import { openBaseOf } from './open-base.js';
import { readLines } from './read-rows.js';
import { settingsOf } from './settings-of.js';

/** Trains a masked language model on texts and writes its bundle. @throws DATASET_INVALID, CONFIG_INVALID, TRAINING_DIVERGED */
export async function trainMaskedLm(
  work: Extract<JobWork, { kind: 'train' }>,
  hooks: RunHooks,
): Promise<WorkResult> {
  const { data, test, facts, wanted, common } = work;
  const parts = splitTexts(readLines(data), test && readLines(test), wanted.seed);
  const base = await openBaseOf(work.baseFolder, common.threads);
  const vocabulary = requireMask(base);
  const start = work.startFolder === undefined ? undefined : await openBundle(work.startFolder);
  const settings = settingsOf(wanted, MASKED_LM_HYPER_PARAMETERS);
  hooks.onProgress?.({ stage: 'tokenising', done: 0, total: 1 });
  const windows = (lines: readonly TextLine[]) => textWindows(base, lines, settings.maxTokens);
  const result = await trainMaskedLmExpert(
    {
      base,
      vocabulary,
      train: await windows(parts.train),
      validation: await windows(parts.validation),
      test: await windows(parts.test),
      start: start && (await readMaskedLm(start, base)),
      settings,
      seed: wanted.seed,
      facts: {
        ...facts,
        trainingData: [{ ...facts.trainingData, rows: parts.train.length }],
        seed: wanted.seed,
        ...(start ? { startedFrom: { ...nameOf(start.manifest), digest: start.digest } } : {}),
      },
      datasets: { validation: data.name, test: (test ?? data).name },
    },
    hooks,
  );
  if (result.kind !== 'finished') throw new ThalamusError('INTERNAL', 'Training ended before its end.');
  await writeBundle(work.bundleFolder, result.manifest, result.files);
  return {
    labels: 0,
    rows: { train: parts.train.length, validation: parts.validation.length, test: parts.test.length },
    evaluation: result.manifest.evaluation,
  };
}

function nameOf({ name, version }: { readonly name: string; readonly version: string }) {
  return { name, version };
}
