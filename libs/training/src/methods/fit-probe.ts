import type { ClassificationMetrics } from '../classification-metrics.js';
import type { DatasetRow } from '../csv-dataset.js';
import { embedTexts } from '../embed-texts.js';
import { evaluateHead, labelled, trainProbe, type EmbeddedRows, type TrainedProbe } from '../train-probe.js';
import type { ExpertRun, RunHooks } from './expert-run.js';

/** A probe with what it gives on the test rows. */
export interface FittedProbe {
  readonly probe: TrainedProbe;
  readonly test: ClassificationMetrics;
}

/** Embeds all rows of a run and fits a head on them. @throws DATASET_INVALID */
export async function fitProbe({ base, parts }: ExpertRun, hooks: RunHooks): Promise<FittedProbe> {
  const all = [...parts.train, ...parts.validation, ...parts.test];
  const texts = all.map(({ text }) => text);
  const report = (done: number) => hooks.onProgress?.({ stage: 'embedding', done, total: texts.length });
  report(0);
  const embed = hooks.embed ?? ((given) => embedTexts(base.encoder, given, { onBatch: report }));
  const { features, width } = await embed(texts);
  let from = 0;
  const slice = (rows: readonly DatasetRow[]): EmbeddedRows => {
    const part = features.subarray(from * width, (from + rows.length) * width);
    from += rows.length;
    return { features: part, labels: rows.map(({ label }) => label) };
  };
  const [train, validation, test] = [slice(parts.train), slice(parts.validation), slice(parts.test)];
  const probe = trainProbe(train, validation, width, ({ done, total }) => {
    hooks.onProgress?.({ stage: 'fitting', done, total });
  });
  return { probe, test: evaluateHead(probe.head, labelled(test, probe.labels, width)) };
}
