import {
  openBundle,
  readSafetensors,
  requireFloat32,
  type ExpertManifest,
  type OpenedBundle,
} from '@thalamus/bundle';
import {
  classificationMetrics,
  evaluationRows,
  headLogProbabilities,
  labelled,
  openClassifier,
  openTrainingBase,
  openTwin,
  predictionFile,
  requireLabels,
  twinLogProbabilities,
} from '@thalamus/training';
import { writeFileSync } from 'node:fs';
import type { JobWork, WorkResult } from '../application/job-process.port.js';
import { evaluateMaskedLm } from './evaluate-masked-lm.js';
import type { Features } from './features.js';
import { toolsOf } from './open-base.js';
import { readRows } from './read-rows.js';
import type { WorkReporter } from './work-reporter.js';

type EvaluateWork = Extract<JobWork, { kind: 'evaluate' }>;

/** What an evaluation reports to. */
export interface EvaluationSurroundings {
  readonly features: Features;
  readonly reporter: WorkReporter;
}

/** Answers every row with one version of any kind that classifies texts, writes the answers, and measures them. Labels are checked before anything runs. */
export async function evaluateExpert(
  work: EvaluateWork,
  surroundings: EvaluationSurroundings,
): Promise<WorkResult> {
  const { data, common } = work;
  const expert = await openBundle(work.expertFolder);
  if (expert.manifest.task === 'fill-mask') return evaluateMaskedLm(work, expert, surroundings.reporter);
  const named = readRows(data, common.ignoredColumns);
  const { rows } = named;
  const { name, version, labels = [] } = expert.manifest;
  requireLabels(named, new Set(labels), `${name}@${version}`);
  const texts = rows.map(({ text }) => text);
  const logProbabilities = await answer(work, expert, surroundings, texts);
  surroundings.reporter.step('measuring', 0, 1);
  writeFileSync(work.predictionsFile, predictionFile(rows, logProbabilities, labels));
  const truth = { features: new Float32Array(), labels: rows.map(({ label }) => label) };
  const metrics = classificationMetrics(logProbabilities, labelled(truth, labels, 0).classes, labels.length);
  return {
    labels: labels.length,
    rows: { [work.split]: rows.length },
    evaluation: evaluationRows(data.name, work.split, metrics, work.date),
  };
}

/** Log-probabilities [texts, labels]. */
async function answer(
  { common, baseFolder }: EvaluateWork,
  expert: OpenedBundle<ExpertManifest>,
  { features, reporter }: EvaluationSurroundings,
  texts: readonly string[],
): Promise<Float64Array> {
  const { kind, labels = [] } = expert.manifest;
  const tools = toolsOf(common.threads);
  if (kind === 'twin') {
    const twin = await openTwin(expert, tools);
    return twinLogProbabilities(await features.embed(twin, expert.digest, texts));
  }
  const base = baseFolder === undefined ? undefined : await openTrainingBase(baseFolder, tools);
  if (kind === 'probe' && base) {
    const embedded = await features.embed(base.encoder, base.digest, texts);
    const head = readSafetensors(await expert.readFile('head.safetensors'));
    const weights = requireFloat32(head, 'head.weight', [labels.length, embedded.width]);
    const bias = requireFloat32(head, 'head.bias', [labels.length]);
    return headLogProbabilities({ weights, bias }, embedded.features, embedded.width);
  }
  const classifier = await openClassifier(expert, { ...tools, base });
  reporter.step('answering', 0, texts.length);
  return classifier.answer(texts, (done) => {
    reporter.step('answering', done, texts.length);
  });
}
