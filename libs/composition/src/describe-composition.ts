import {
  MANIFEST_SCHEMA_VERSION,
  type EvaluationRow,
  type ExpertManifest,
  type TrainingDataRow,
} from '@thalamus/bundle';
import { combinedLicence, TWIN_VALUES, type MergedGraph } from '@thalamus/model-merge';
import type { CompositionTask, TaskParent } from './composition-task.js';
import type { RankLadder } from './report-composition.js';
import { figure, FIGURES, FIGURES_OF, WHOLE } from './figures.js';
import { normalizedOf, taskFigures, type CompositionQuality, type TaskFigures } from './quality.js';

/** A parent with its manifest. */
export interface DescribedParent extends TaskParent {
  readonly bundle: { readonly manifest: ExpertManifest };
}

/** What came of making a composition. */
export interface MadeParts {
  readonly graph: MergedGraph;
  readonly quality: CompositionQuality;
  /** Hugging Face name of what it serves. */
  readonly task: 'text-classification' | 'fill-mask';
  readonly description: string;
  readonly precision: ExpertManifest['precision'];
  /** Multiplications and additions a token, twice the multiplied weights. */
  readonly flopsPerToken: number;
  /** Constant elements of the graph. */
  readonly parameterCount: number;
  /** What ranks cost and keep; empty for methods without ranks. */
  readonly ladder: RankLadder;
  /** Largest weight below which a text counts as covered by no parent; null where it never abstains. */
  readonly abstainBelow: number | null;
}

/**
 * The manifest of a composition: where it comes from, how it fares on each parent's held-out rows, under which licence. It is as old
 * as the newest of what it is made of, and nothing in it tells when or where that was done: the same parts give the same digest.
 */
export function describeComposition(
  task: CompositionTask,
  base: ExpertManifest,
  parents: readonly DescribedParent[],
  made: MadeParts,
): Omit<ExpertManifest, 'files'> {
  const manifests = parents.map(({ bundle }) => bundle.manifest);
  const { codeVersion, ...identity } = task.result;
  const releaseDate = [base, ...manifests].map((manifest) => manifest.releaseDate).reduce(latest);
  return {
    schemaVersion: MANIFEST_SCHEMA_VERSION,
    ...identity,
    releaseDate,
    kind: 'twin',
    task: made.task,
    description: made.description.slice(0, 2000),
    ...(made.task === 'fill-mask' ? {} : { labels: [...made.graph.labels] }),
    inputs: [
      ...[TWIN_VALUES.inputIds, TWIN_VALUES.attentionMask].map((name) => ({
        name,
        dataType: 'int64',
        shape: ['batch', 'sequence'],
      })),
      { name: TWIN_VALUES.task, dataType: 'int64', shape: ['batch'] },
      ...(made.task === 'fill-mask'
        ? [{ name: TWIN_VALUES.positions, dataType: 'int64', shape: ['masked'] }]
        : []),
    ],
    maxTokens: base.maxTokens,
    parameterCount: made.parameterCount,
    flopsPerToken: made.flopsPerToken,
    precision: made.precision,
    licence: combinedLicence([base, ...manifests].map(({ licence }) => licence)),
    trainingData: trainingData(parents, made.quality),
    lineage: {
      recipe: task.recipe,
      parents: task.parents.map(({ name, version, digest }) => ({ name, version, digest })),
      seed: task.seed,
      codeVersion,
    },
    evaluation: evaluation(releaseDate, made.quality),
    trust: {
      signed: false,
      scanned: base.trust.scanned && manifests.every(({ trust }) => trust.scanned),
      backdoorTested: false,
    },
  };
}

/** Texts that somebody gave, of which nobody stated anything. */
const UNLABELLED = { name: 'router: texts without labels', licence: 'NOASSERTION', origin: 'not stated' };

/** What the parents were fitted on, and what the router was. */
function trainingData(
  parents: readonly DescribedParent[],
  { routerRows, prompts }: CompositionQuality,
): TrainingDataRow[] {
  const own = parents.flatMap(({ bundle }) => bundle.manifest.trainingData);
  if (prompts)
    return [...own, ...parents.map(({ name }) => ({ ...UNLABELLED, rows: routerRows.get(name) ?? 0 }))];
  const routed = parents.map(({ name, train }) => ({
    name: `router: ${[...new Set(train.map(({ dataset }) => dataset))].join(', ')}`,
    licence: combinedLicence(train.map(({ licence }) => licence)),
    origin: [...new Set(train.map(({ origin }) => origin))].join('; '),
    rows: routerRows.get(name) ?? 0,
  }));
  return [...own, ...routed];
}

/** The later of two dates, year first. */
const latest = (a: string, b: string) => (a > b ? a : b);

function evaluation(date: string, quality: CompositionQuality): EvaluationRow[] {
  const { routerValidation, parity, prompts } = quality;
  const judged = quality.parents.filter(({ n }) => n > 0);
  const n = judged.reduce((sum, parent) => sum + parent.n, 0);
  /** Mean over everything that was judged, each parent by what it was judged on. */
  const mean = (read: (figures: TaskFigures) => number) =>
    judged.reduce((sum, parent) => sum + read(taskFigures(parent)) * parent.n, 0) / n;
  const whole = (metric: string, value: number, rows: number, split: EvaluationRow['split'] = 'test') =>
    figure({ dataset: WHOLE, metric, split }, value, rows, date);
  const [first] = judged;
  const names = FIGURES_OF[first ? taskFigures(first).unit : 'accuracy'];
  const normalized = normalizedOf(judged);
  return [
    ...(n === 0
      ? []
      : [
          ...(normalized === undefined ? [] : [whole(FIGURES.normalized, normalized, n)]),
          whole(
            names.composed,
            mean(({ composed }) => composed),
            n,
          ),
          whole(
            FIGURES.routerAccuracy,
            mean(({ routed }) => routed),
            n,
          ),
        ]),
    whole(FIGURES.routerValidationAccuracy, routerValidation.accuracy, routerValidation.n, 'validation'),
    ...(prompts ? [whole(FIGURES.promptsKept, prompts.kept / prompts.given, prompts.given, 'train')] : []),
    whole(FIGURES.parity, parity.maxAbs, parity.n, n === 0 ? 'train' : 'test'),
    ...judged.flatMap((parent) => {
      const { composed, alone, lost } = taskFigures(parent);
      const row = (metric: string, value: number) =>
        figure({ dataset: parent.name, metric, split: 'test' }, value, parent.n, date);
      return [row(names.composed, composed), row(names.alone, alone), row(names.lost, lost)];
    }),
  ];
}
