import { digestOf } from '@thalamus/bundle';
import { ThalamusError } from '@thalamus/errors';
import type { ClassificationMetrics } from '../classification-metrics.js';
import type { DatasetRow } from '../csv-dataset.js';
import { embedTexts, type EmbeddedTexts } from '../embed-texts.js';
import type { TrainingEvent } from '../loop/train-loop.js';
import { probeBundle } from '../probe-bundle.js';
import type { TrainingSplit } from '../split-rows.js';
import { evaluateHead, labelled, trainProbe, type EmbeddedRows, type TrainedProbe } from '../train-probe.js';
import type { TrainingBase } from '../training-base.port.js';
import type { ClassifiedTokens } from './classifier-model.js';
import { classifierBundle, type ClassifierFacts, type UnwrittenBundle } from './expert-bundle.js';
import type { HyperParameters, TrainingMethod } from './hyper-parameters.js';
import { resumableRun, type KeptRunHooks } from './resumable-run.js';
import { prepareClassifier, type TrainedClassifier } from './train-classifier.js';
import { trainingFiles } from './training-files.js';

/** How far a run is. */
export interface RunProgress {
  readonly stage: 'embedding' | 'fitting' | 'tokenising' | 'training' | 'measuring';
  readonly done: number;
  readonly total: number;
}

/** What is asked of a run. */
export interface ExpertRun {
  readonly base: TrainingBase;
  readonly parts: TrainingSplit<DatasetRow>;
  readonly method: TrainingMethod;
  readonly settings: HyperParameters;
  readonly seed: number;
  readonly facts: ClassifierFacts;
  /** Ships what was asked for even where the probe is better on the validation rows. Default false. */
  readonly keepMethod?: boolean;
}

/** Who watches a run and keeps its state. */
export interface RunHooks extends KeptRunHooks {
  readonly onProgress?: (progress: RunProgress) => void;
  /** Embeds all rows; default: `embedTexts` with the base. */
  readonly embed?: (texts: readonly string[]) => Promise<EmbeddedTexts>;
}

/** What a run gave. */
export interface FinishedRun extends UnwrittenBundle {
  readonly kind: 'finished';
  /** What ships: the method asked for, or the probe where that is better. */
  readonly method: TrainingMethod;
  readonly labels: readonly string[];
  readonly probe: { readonly validation: ClassificationMetrics; readonly test: ClassificationMetrics };
  readonly trained:
    { readonly validation: ClassificationMetrics; readonly test: ClassificationMetrics } | undefined;
  /** What people should know: texts that were cut, a fall back to the probe. */
  readonly notes: readonly string[];
}

/** How a run ended. */
export type RunResult = FinishedRun | { readonly kind: 'interrupted' };

/**
 * Trains an expert: first the probe, then, unless it is what was asked for, the encoder with the head started from it. Where
 * the probe is at least as good on the validation rows it ships instead. Equal input and machine, equal bytes; a run that was
 * interrupted goes on from its checkpoint when everything that decides the result is the same.
 * @throws DATASET_INVALID, TRAINING_DIVERGED, ARTIFACT_STORE_FULL; CONFIG_INVALID for a checkpoint of another run
 */
export async function trainExpert(run: ExpertRun, hooks: RunHooks = {}): Promise<RunResult> {
  const { base, parts, facts, seed } = run;
  const probed = await fitProbe(run, hooks);
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
  if (run.method === 'probe')
    return { ...shared, ...asProbe(), method: 'probe', trained: undefined, notes: [] };
  const tuned = await fineTune(run, probe, hooks);
  if (!tuned) return { kind: 'interrupted' };
  const { trained, notes, events } = tuned;
  const compared = { validation: trained.validation, test: trained.test };
  if (!run.keepMethod && probe.validation.accuracy >= trained.validation.accuracy) {
    const better = `The probe is as good or better on the ${parts.validation.length} validation rows (${probe.validation.accuracy.toFixed(4)} against ${trained.validation.accuracy.toFixed(4)} of ${run.method}): the probe ships.`;
    return { ...shared, ...asProbe(), method: 'probe', trained: compared, notes: [...notes, better] };
  }
  const bundle = classifierBundle(trained, probe.labels, base, run.settings, facts);
  const files = { ...bundle.files, ...trainingFiles(facts.name, events) };
  return { ...shared, manifest: bundle.manifest, files, method: run.method, trained: compared, notes };
}

async function fitProbe(
  { base, parts }: ExpertRun,
  hooks: RunHooks,
): Promise<{ readonly probe: TrainedProbe; readonly test: ClassificationMetrics }> {
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

interface Tuned {
  readonly trained: TrainedClassifier;
  readonly notes: readonly string[];
  readonly events: readonly TrainingEvent[];
}

async function fineTune(run: ExpertRun, probe: TrainedProbe, hooks: RunHooks): Promise<Tuned | undefined> {
  const { base, parts, settings, seed } = run;
  if (run.method === 'probe' || run.method === 'svd')
    throw new ThalamusError('METHOD_UNSUPPORTED', `The method ${run.method} does not fine-tune.`);
  hooks.onProgress?.({ stage: 'tokenising', done: 0, total: 1 });
  const served = base.manifest.maxTokens;
  const tokens = {
    train: await classified(base, parts.train, probe.labels, Math.min(settings.maxTokens, served)),
    validation: await classified(base, parts.validation, probe.labels, served),
    test: await classified(base, parts.test, probe.labels, served),
  };
  const notes =
    tokens.train.cut === 0
      ? []
      : [
          `${tokens.train.cut} of ${parts.train.length} training texts are longer than ${Math.min(settings.maxTokens, served)} tokens and were cut.`,
        ];
  const prepared = prepareClassifier({
    base,
    method: run.method,
    ...tokens,
    head: probe.head,
    settings,
    seed,
  });
  const { loop, events } = resumableRun(runKey(run, probe), prepared.parameters, {
    ...hooks,
    onEvent: (event) => {
      hooks.onEvent?.(event);
      if (event.kind === 'step')
        hooks.onProgress?.({ stage: 'training', done: event.step, total: event.totalSteps });
    },
  });
  const trained = await prepared.run(loop);
  return trained && { trained, notes, events };
}

/** Everything that decides the result. */
function runKey({ base, parts, method, settings, seed }: ExpertRun, probe: TrainedProbe): string {
  const rows = (part: readonly DatasetRow[]) => part.map(({ text, label }) => [text, label]);
  return digestOf(
    JSON.stringify([
      base.digest,
      method,
      settings,
      seed,
      rows(parts.train),
      rows(parts.validation),
      probe.l2,
      digestOf(new Uint8Array(probe.head.weights.buffer.slice(0))),
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
