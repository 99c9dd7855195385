import { writeBundle } from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import { HYPER_PARAMETERS, splitTraining, trainExpert as train, type RunHooks } from '@thalamus/training';
import type { CommonWork, JobWork, WorkResult } from '../application/job-process.port.js';
import type { CheckpointRequests } from './checkpoint-requests.js';
import type { Features } from './features.js';
import { openBaseOf } from './open-base.js';
import { readRows } from './read-rows.js';
import { settingsOf } from './settings-of.js';
import { trainMaskedLm } from './train-masked-lm.js';
import type { TrainingReports } from './training-reports.js';
import type { WorkReporter } from './work-reporter.js';

type TrainWork = Extract<JobWork, { kind: 'train' }>;

/** What a training process reports to. */
export interface TrainingSurroundings {
  readonly features: Features;
  readonly reporter: WorkReporter;
  readonly reports: TrainingReports;
  readonly requests: CheckpointRequests;
  /** The file of the training checkpoint has been written. */
  readonly onCheckpoint: () => void;
}

/**
 * Trains an expert by any method and writes its bundle. Everything is checked before the first text is embedded; a checkpoint
 * of other work is passed over, since it costs time only.
 */
export async function trainExpert(work: TrainWork, surroundings: TrainingSurroundings): Promise<WorkResult> {
  if (work.wanted.task === 'fill-mask') return trainMaskedLm(work, hooksOf(work.common, surroundings));
  const { data, test, facts, wanted, common } = work;
  const read = (file: typeof data) => readRows(file, common.ignoredColumns);
  const parts = splitTraining(read(data), test && read(test), wanted.seed);
  const base = await openBaseOf(work.baseFolder, common.threads);
  const result = await train(
    {
      base,
      parts,
      method: wanted.method,
      settings: settingsOf(wanted, HYPER_PARAMETERS[wanted.method === 'probe' ? 'lora' : wanted.method]),
      seed: wanted.seed,
      keepMethod: wanted.keepMethod,
      facts: {
        ...facts,
        trainingData: [{ ...facts.trainingData, rows: parts.train.length }],
        seed: wanted.seed,
        datasets: { validation: data.name, test: (test ?? data).name },
      },
    },
    {
      ...hooksOf(common, surroundings),
      embed: (texts) => surroundings.features.embed(base.encoder, base.digest, texts),
    },
  );
  if (result.kind !== 'finished') throw new ThalamusError('INTERNAL', 'Training ended before its end.');
  await writeBundle(work.bundleFolder, result.manifest, result.files);
  return {
    labels: result.labels.length,
    rows: { train: parts.train.length, validation: parts.validation.length, test: parts.test.length },
    evaluation: result.manifest.evaluation,
  };
}

/** How a training in this process is watched, kept and resumed. */
export function hooksOf(
  common: CommonWork,
  { reporter, reports, requests, onCheckpoint }: TrainingSurroundings,
): RunHooks {
  return {
    checkpointFile: common.checkpointFiles.training,
    foreignCheckpoint: 'pass-over',
    checkpointDue: () => requests.take(),
    onCheckpoint: () => {
      onCheckpoint();
      reports.ready();
    },
    onEvent: (event) => {
      reports.event(event);
    },
    onProgress: ({ stage, done, total, loss }) => {
      // The embedding tells its own progress, from where it was resumed.
      if (stage !== 'embedding') reporter.step(stage, done, total, loss);
    },
  };
}
