import { digestOf } from '@thalamus/bundle';
import type { TrainingMethod } from '@thalamus/contracts';
import { ThalamusError } from '@thalamus/errors';
import type { ClassificationMetrics } from '../classification-metrics.js';
import type { DatasetRow } from '../csv-dataset.js';
import { requireExtractable } from '../graphs/extract-low-rank.js';
import type { TrainingEvent } from '../loop/train-loop.js';
import { probeBundle } from '../probe-bundle.js';
import { labelled } from '../train-probe.js';
import type { TrainingBase } from '../training-base.port.js';
import type { ClassifiedTokens } from './classifier-model.js';
import { classifierBundle, type UnwrittenBundle } from './expert-bundle.js';
import { withStepProgress, type ExpertRun, type RunHooks } from './expert-run.js';
import { fitProbe, type FittedProbe } from './fit-probe.js';
import { probeContent, readProbe } from './kept-probe.js';
import { keptRun, resumableRun, type KeptRun } from './resumable-run.js';
import { prepareClassifier, type TrainedClassifier } from './train-classifier.js';
import { trainingFiles } from './training-files.js';
import { cutNote, cutTextsNote, singleRowNote } from './training-notes.js';

/** What a run gave. */
export interface FinishedRun extends UnwrittenBundle {
  readonly kind: 'finished';
  /** What ships: the method asked for, or the probe where that is better. */
  readonly method: TrainingMethod;
  readonly labels: readonly string[];
  readonly probe: { readonly validation: ClassificationMetrics; readonly test: ClassificationMetrics };
  readonly trained:
    { readonly validation: ClassificationMetrics; readonly test: ClassificationMetrics } | undefined;
  /** What people should know: texts that were cut, labels with one row, a fall back to the probe. */
  readonly notes: readonly string[];
}

/** How a run ended. */
export type RunResult = FinishedRun | { readonly kind: 'interrupted' };

/**
 * Trains an expert: first the probe, then, unless it is what was asked for, the encoder with the head started from it. Where
 * the probe is at least as good on the validation rows, by accuracy and then by loss, it ships instead. Equal input and machine,
 * equal bytes; a run that was interrupted goes on from its checkpoint when everything that decides the result is the same.
 * @throws DATASET_INVALID, TRAINING_DIVERGED, ARTIFACT_STORE_FULL; CONFIG_INVALID for a checkpoint of another run, or a rank that
 * `svd` cannot take out of the base's layers
 */
export async function trainExpert(run: ExpertRun, hooks: RunHooks = {}): Promise<RunResult> {
  const { base, parts, facts, seed } = run;
  if (run.method === 'svd') requireExtractable(base.read.weights, run.settings.rank);
  const key = runKey(run);
  const kept = run.method === 'probe' ? undefined : keptRun(key, hooks);
  const probed = kept ? readProbe(kept) : await fitProbe(run, hooks);
  const { probe } = probed;
  const asProbe = () =>
    probeBundle(probe, {
      ...facts,
      base: { manifest: base.manifest, digest: base.digest },
      width: base.read.config.hiddenSize,
      validation: { dataset: facts.datasets.validation, metrics: probe.validation },
      test: { dataset: facts.datasets.test, metrics: probed.test },
      seed,
    });
  const figures = { validation: probe.validation, test: probed.test };
  const shared = { kind: 'finished', labels: probe.labels, probe: figures } as const;
  if (run.method === 'probe') {
    const all = [...parts.train, ...parts.validation, ...parts.test];
    const cut = await cutTextsNote(base.tokens, all, base.manifest.maxTokens);
    const notes = [...cut, ...singleRowNote(parts)];
    return { ...shared, ...asProbe(), method: 'probe', trained: undefined, notes };
  }
  const tuned = await fineTune(run, { key, probed, kept }, hooks);
  if (!tuned) return { kind: 'interrupted' };
  const { trained, notes, events } = tuned;
  const compared = { validation: trained.validation, test: trained.test };
  if (!run.keepMethod && !isBetter(trained.validation, probe.validation)) {
    const better = `The probe is as good or better on the ${parts.validation.length} validation rows (${scoreOf(probe.validation)} against ${scoreOf(trained.validation)} of ${run.method}): the probe ships.`;
    return { ...shared, ...asProbe(), method: 'probe', trained: compared, notes: [...notes, better] };
  }
  const bundle = classifierBundle(trained, probe.labels, base, run.settings, facts);
  const files = { ...bundle.files, ...trainingFiles(facts.name, events) };
  return { ...shared, manifest: bundle.manifest, files, method: run.method, trained: compared, notes };
}

/** A smaller gain of loss is none: rounding alone moves it. */
const LEAST_GAIN_NATS = 1e-3;

/** By accuracy; where that is the same, by the loss, which tells more on few rows. */
function isBetter(trained: ClassificationMetrics, probe: ClassificationMetrics): boolean {
  if (trained.accuracy !== probe.accuracy) return trained.accuracy > probe.accuracy;
  return trained.logLoss < probe.logLoss - LEAST_GAIN_NATS;
}

const scoreOf = ({ accuracy, logLoss }: ClassificationMetrics): string =>
  `${accuracy.toFixed(4)} and ${logLoss.toFixed(4)} nats`;

interface Tuned {
  readonly trained: TrainedClassifier;
  readonly notes: readonly string[];
  readonly events: readonly TrainingEvent[];
}

/** Where fine-tuning starts. */
interface Start {
  readonly key: string;
  readonly probed: FittedProbe;
  readonly kept: KeptRun | undefined;
}

async function fineTune(run: ExpertRun, start: Start, hooks: RunHooks): Promise<Tuned | undefined> {
  const { base, parts, settings, seed } = run;
  const { key, probed, kept } = start;
  const { probe } = probed;
  if (run.method === 'probe')
    throw new ThalamusError('METHOD_UNSUPPORTED', `The method ${run.method} does not fine-tune.`);
  hooks.onProgress?.({ stage: 'tokenising', done: 0, total: 1 });
  const served = base.manifest.maxTokens;
  const tokens = {
    train: await classified(base, parts.train, probe.labels, Math.min(settings.maxTokens, served)),
    validation: await classified(base, parts.validation, probe.labels, served),
    test: await classified(base, parts.test, probe.labels, served),
  };
  const heldOut = parts.validation.length + parts.test.length;
  const notes = [
    ...cutNote(tokens.train.cut, parts.train.length, 'training texts', Math.min(settings.maxTokens, served)),
    ...cutNote(tokens.validation.cut + tokens.test.cut, heldOut, 'held-out texts', served),
    ...singleRowNote(parts),
  ];
  const prepared = prepareClassifier({
    base,
    method: run.method,
    ...tokens,
    head: probe.head,
    settings,
    seed,
  });
  const beside = probeContent(probed);
  const { loop, events } = resumableRun(key, prepared.parameters, withStepProgress(hooks), {
    kept,
    beside,
  });
  const trained = await prepared.run(loop);
  return trained && { trained, notes, events };
}

/** Everything that decides the result. */
function runKey({ base, parts, method, settings, seed }: ExpertRun): string {
  const rows = (part: readonly DatasetRow[]) => part.map(({ text, label }) => [text, label]);
  return digestOf(
    JSON.stringify([
      base.digest,
      method,
      settings,
      seed,
      rows(parts.train),
      rows(parts.validation),
      rows(parts.test),
    ]),
  );
}

async function classified(
  base: TrainingBase,
  rows: readonly DatasetRow[],
  labels: readonly string[],
  maxTokens: number,
): Promise<ClassifiedTokens & { readonly cut: number }> {
  const encoded = await base.tokens.encode(
    rows.map(({ text }) => text),
    maxTokens,
  );
  const truth = { features: new Float32Array(), labels: rows.map(({ label }) => label) };
  return {
    ids: encoded.map(({ ids }) => ids),
    classes: labelled(truth, labels, 0).classes,
    cut: encoded.filter(({ truncated }) => truncated).length,
  };
}
