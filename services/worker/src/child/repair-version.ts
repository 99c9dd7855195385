import { openBundle, writeBundle } from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import {
  openTrainingBase,
  predictionFile,
  REPAIR_HYPER_PARAMETERS,
  repairedLicence,
  repairExpert,
  requireLabels,
  requireRepairRows,
  splitTraining,
  type BaseTools,
  type ExpertVersion,
  type TrainingBase,
} from '@thalamus/training';
import { writeFileSync } from 'node:fs';
import type { RepairWork, VersionFolders, WorkResult } from '../application/job-process.port.js';
import { toolsOf } from './open-base.js';
import { readRows } from './read-rows.js';
import { settingsOf } from './settings-of.js';
import { hooksOf, type TrainingSurroundings } from './train-expert.js';

/**
 * Repairs a version: writes its bundle, and the answers of the old and the repaired version on the rows that judge. Rows, labels and
 * versions are checked before anything is answered; a checkpoint of other work is passed over, since it costs time only.
 * @throws DATASET_INVALID, REQUEST_INVALID, METHOD_UNSUPPORTED, TRAINING_DIVERGED
 */
export async function repairVersion(
  work: RepairWork,
  surroundings: TrainingSurroundings,
): Promise<WorkResult> {
  const { wanted, facts, common } = work;
  const read = (file: typeof work.data) => readRows(file, common.ignoredColumns);
  const data = read(work.data);
  const test = work.test && read(work.test);
  requireRepairRows(data);
  const tools = toolsOf(common.threads);
  const open = versionOpener(tools);
  const from = await open(work.from);
  const to = needBase(await open(work.to));
  const { manifest } = to.expert;
  const labels = manifest.labels ?? [];
  for (const rows of [data, ...(test ? [test] : [])])
    requireLabels(rows, new Set(labels), `${manifest.name}@${manifest.version}`);
  const parts = splitTraining(data, test, wanted.seed);
  const { trainingData } = facts;
  const result = await repairExpert(
    {
      ...{ from, to, parts, arm: wanted.method, seed: wanted.seed },
      settings: settingsOf(wanted, REPAIR_HYPER_PARAMETERS),
      readTokenizer: tools.readTokenizer,
      facts: {
        name: manifest.name,
        version: facts.version,
        description: facts.description ?? manifest.description,
        licence: repairedLicence(manifest.licence, trainingData.licence),
        data: { ...trainingData, rows: parts.train.length },
        datasets: { validation: work.data.name, test: (work.test ?? work.data).name },
        seed: wanted.seed,
        date: facts.date,
      },
    },
    hooksOf(common, surroundings),
  );
  if (result.kind !== 'finished') throw new ThalamusError('INTERNAL', 'A repair ended before its end.');
  await writeBundle(work.bundleFolder, result.manifest, result.files);
  const { old, repaired } = result.heldOut;
  writeFileSync(work.predictionFiles.old, predictionFile(parts.test, old, labels));
  writeFileSync(work.predictionFiles.repaired, predictionFile(parts.test, repaired, labels));
  const { verdict, credit, reason } = result.judgement;
  return {
    labels: labels.length,
    rows: { train: parts.train.length, validation: parts.validation.length, test: parts.test.length },
    evaluation: result.manifest.evaluation,
    judged: { verdict, credit, reason, notes: result.notes },
  };
}

/** Opens versions; a base that two stand on is opened once. */
function versionOpener(tools: BaseTools): (folders: VersionFolders) => Promise<ExpertVersion> {
  const bases = new Map<string, Promise<TrainingBase>>();
  return async ({ expert, base: folder }) => {
    if (folder === undefined) return { expert: await openBundle(expert), base: undefined };
    const base = bases.get(folder) ?? openTrainingBase(folder, tools);
    bases.set(folder, base);
    return { expert: await openBundle(expert), base: await base };
  };
}

/** @throws METHOD_UNSUPPORTED for a version that stands on no base */
function needBase({ expert, base }: ExpertVersion): ExpertVersion & { readonly base: TrainingBase } {
  if (base) return { expert, base };
  const { name, version, kind } = expert.manifest;
  throw new ThalamusError(
    'METHOD_UNSUPPORTED',
    `${name}@${version} is ${kind} and stands on no base; a repair trains a low-rank adapter.`,
  );
}
