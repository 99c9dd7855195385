import {
  float16Tensor,
  MANIFEST_SCHEMA_VERSION,
  writeSafetensors,
  type BundleFiles,
  type Digest,
  type EvaluationRow,
  type ExpertManifest,
  type TrainingDataRow,
} from '@thalamus/bundle';
import type { ClassificationMetrics } from './classification-metrics.js';
import type { TrainedProbe } from './train-probe.js';

/** What a probe bundle says besides its weights. */
export interface ProbeFacts {
  readonly name: string;
  /** Decimal string. */
  readonly version: string;
  readonly description: string;
  /** SPDX identifier. */
  readonly licence: string;
  /** The base that the head was fitted on. */
  readonly base: { readonly manifest: ExpertManifest; readonly digest: Digest };
  /** Width of the base's vectors. */
  readonly width: number;
  readonly trainingData: readonly TrainingDataRow[];
  /** Figures of the held-out rows, and the data set that they are from. */
  readonly validation: { readonly dataset: string; readonly metrics: ClassificationMetrics };
  readonly test: { readonly dataset: string; readonly metrics: ClassificationMetrics };
  readonly seed: number;
  /** Day of release, such as 2026-01-31. */
  readonly date: string;
}

/** Manifest and files of a probe's bundle: equal probes and facts give equal bytes. Hand them to `writeBundle`. */
export function probeBundle(
  probe: TrainedProbe,
  facts: ProbeFacts,
): { readonly manifest: Omit<ExpertManifest, 'files'>; readonly files: BundleFiles } {
  const { base, width, validation, test, date } = facts;
  const head = writeSafetensors({
    'head.weight': float16Tensor([probe.labels.length, width], probe.head.weights),
    'head.bias': float16Tensor([probe.labels.length], probe.head.bias),
  });
  const manifest: Omit<ExpertManifest, 'files'> = {
    schemaVersion: MANIFEST_SCHEMA_VERSION,
    name: facts.name,
    version: facts.version,
    kind: 'probe',
    task: 'text-classification',
    description: facts.description,
    base: { name: base.manifest.name, digest: base.digest },
    labels: [...probe.labels],
    maxTokens: base.manifest.maxTokens,
    parameterCount: base.manifest.parameterCount + probe.labels.length * (width + 1),
    flopsPerToken: base.manifest.flopsPerToken,
    precision: 'float16',
    licence: facts.licence,
    trainingData: [...facts.trainingData],
    lineage: {
      recipe: `probe: softmax regression by L-BFGS, l2 ${probe.l2}`,
      parents: [{ name: base.manifest.name, version: base.manifest.version, digest: base.digest }],
      seed: facts.seed,
    },
    evaluation: [
      evaluationRow(
        validation.dataset,
        'validation',
        'accuracy',
        validation.metrics.accuracy,
        validation.metrics.n,
        date,
      ),
      ...evaluationRows(test.dataset, 'test', test.metrics, date),
    ],
    trust: { signed: false, scanned: true, backdoorTested: false },
    releaseDate: date,
  };
  return { manifest, files: { 'head.safetensors': head } };
}

/** The four figures of a classifier as rows of a manifest, six decimals. */
export function evaluationRows(
  dataset: string,
  split: EvaluationRow['split'],
  metrics: ClassificationMetrics,
  date: string,
): EvaluationRow[] {
  const row = (metric: string, value: number) =>
    evaluationRow(dataset, split, metric, value, metrics.n, date);
  return [
    row('accuracy', metrics.accuracy),
    row('macro-f1', metrics.macroF1),
    row('log-loss', metrics.logLoss),
    row('calibration-error', metrics.calibrationError),
  ];
}

/** One figure, six decimals. */
// eslint-disable-next-line max-params -- the fields of a row, in order
export function evaluationRow(
  dataset: string,
  split: EvaluationRow['split'],
  metric: string,
  value: number,
  n: number,
  date: string,
): EvaluationRow {
  return { dataset, split, metric, value: Number(value.toFixed(6)), n, date };
}
