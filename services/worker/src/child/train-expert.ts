import { writeBundle } from '@thalamus/bundle';
import {
  evaluateHead,
  labelled,
  probeBundle,
  splitTraining,
  trainProbe,
  type DatasetRow,
  type EmbeddedRows,
  type EmbeddedTexts,
  type TrainingSplit,
} from '@thalamus/training';
import type { JobWork, WorkResult } from '../application/job-process.port.js';
import type { Features } from './features.js';
import { openBase } from './open-encoder.js';
import { readRows } from './read-rows.js';
import type { WorkReporter } from './work-reporter.js';

type TrainWork = Extract<JobWork, { kind: 'train' }>;

/** Fits a probe head on a frozen base and writes its bundle. Everything is checked before the first text is embedded. */
export async function trainExpert(
  work: TrainWork,
  features: Features,
  reporter: WorkReporter,
): Promise<WorkResult> {
  const { data, test, facts, seed, common } = work;
  const parts = partsOf(work);
  const base = await openBase(work.baseFolder, common.threads);
  const all = [...parts.train, ...parts.validation, ...parts.test];
  const embedded = await features.embed(
    base.encoder,
    base.bundle.digest,
    all.map(({ text }) => text),
  );
  const validationFrom = parts.train.length;
  const testFrom = validationFrom + parts.validation.length;
  const trainRows = slice(embedded, parts.train, 0);
  const validationRows = slice(embedded, parts.validation, validationFrom);
  const { width } = embedded;
  const probe = trainProbe(trainRows, validationRows, width, ({ done, total }) => {
    reporter.step('fitting', done, total);
  });
  reporter.step('measuring', 0, 1);
  const testData = labelled(slice(embedded, parts.test, testFrom), probe.labels, width);
  const { manifest, files } = probeBundle(probe, {
    ...facts,
    base: { manifest: base.bundle.manifest, digest: base.bundle.digest },
    width,
    trainingData: [{ ...facts.trainingData, rows: parts.train.length }],
    validation: { dataset: data.name, metrics: probe.validation },
    test: { dataset: (test ?? data).name, metrics: evaluateHead(probe.head, testData) },
    seed,
  });
  await writeBundle(work.bundleFolder, manifest, files);
  return {
    labels: probe.labels.length,
    rows: { train: parts.train.length, validation: parts.validation.length, test: parts.test.length },
    evaluation: manifest.evaluation,
  };
}

/** Rows by use, each file under the name that messages use. */
function partsOf({ data, test, seed, common }: TrainWork): TrainingSplit<DatasetRow> {
  return splitTraining(
    readRows(data, common.ignoredColumns),
    test && readRows(test, common.ignoredColumns),
    seed,
  );
}

function slice({ features, width }: EmbeddedTexts, rows: readonly DatasetRow[], from: number): EmbeddedRows {
  return {
    features: features.subarray(from * width, (from + rows.length) * width),
    labels: rows.map(({ label }) => label),
  };
}
