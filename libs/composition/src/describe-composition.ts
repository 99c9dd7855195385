import {
  MANIFEST_SCHEMA_VERSION,
  type EvaluationRow,
  type ExpertManifest,
  type TrainingDataRow,
} from '@thalamus/bundle';
import { combinedLicence, TWIN_VALUES, type MergedGraph } from '@thalamus/model-merge';
import type { CompositionTask, TaskParent } from './composition-task.js';
import type { RankLadder } from './report-composition.js';
import { figure, FIGURES, WHOLE } from './figures.js';

/** A parent with its manifest. */
export interface DescribedParent extends TaskParent {
  readonly bundle: { readonly manifest: ExpertManifest };
}

/** How a parent's task fares. */
export interface ParentQuality {
  readonly name: string;
  /** Labelled rows that nothing was fitted to. */
  readonly n: number;
  /** Right answers of the parent alone, of those rows. */
  readonly rightAlone: number;
  /** Right answers of the composition when its router chooses. */
  readonly rightRouted: number;
  /** Rows that the router gives to this parent. */
  readonly routedHere: number;
}

/** What was measured of a composition. */
export interface CompositionQuality {
  readonly parents: readonly ParentQuality[];
  readonly routerValidation: { readonly accuracy: number; readonly n: number };
  /** Training rows of each parent that the router was fitted to. */
  readonly routerRows: ReadonlyMap<string, number>;
  /** Texts without labels that were given, and those of them that a parent was sure of; absent where the parents' rows were. */
  readonly prompts?: { readonly given: number; readonly kept: number } | undefined;
  /** Largest difference of a probability to what the graph stands for, and the rows that were compared. */
  readonly parity: { readonly maxAbs: number; readonly n: number };
}

/** What came of making a composition. */
export interface MadeParts {
  readonly graph: MergedGraph;
  readonly quality: CompositionQuality;
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
    task: 'text-classification',
    description: made.description.slice(0, 2000),
    labels: [...made.graph.labels],
    inputs: [
      ...[TWIN_VALUES.inputIds, TWIN_VALUES.attentionMask].map((name) => ({
        name,
        dataType: 'int64',
        shape: ['batch', 'sequence'],
      })),
      { name: TWIN_VALUES.task, dataType: 'int64', shape: ['batch'] },
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
  const sum = (read: (parent: ParentQuality) => number) =>
    judged.reduce((total, parent) => total + read(parent), 0);
  const n = sum((parent) => parent.n);
  const whole = (metric: string, value: number, rows: number, split: EvaluationRow['split'] = 'test') =>
    figure({ dataset: WHOLE, metric, split }, value, rows, date);
  return [
    ...(n === 0
      ? []
      : [
          whole(FIGURES.normalized, normalizedOf(judged), n),
          whole(FIGURES.accuracy, sum(({ rightRouted }) => rightRouted) / n, n),
          whole(FIGURES.routerAccuracy, sum(({ routedHere }) => routedHere) / n, n),
        ]),
    whole(FIGURES.routerValidationAccuracy, routerValidation.accuracy, routerValidation.n, 'validation'),
    ...(prompts ? [whole(FIGURES.promptsKept, prompts.kept / prompts.given, prompts.given, 'train')] : []),
    whole(FIGURES.parity, parity.maxAbs, parity.n, n === 0 ? 'train' : 'test'),
    ...judged.flatMap((parent) => {
      const row = (metric: string, count: number) =>
        figure({ dataset: parent.name, metric, split: 'test' }, count / parent.n, parent.n, date);
      return [
        row(FIGURES.accuracy, parent.rightRouted),
        row(FIGURES.parentAccuracy, parent.rightAlone),
        row(FIGURES.accuracyLoss, parent.rightAlone - parent.rightRouted),
      ];
    }),
  ];
}

/**
 * Normalised score: the mean over the parents of the composition's accuracy divided by the parent's own (Twin-Merging, arXiv
 * 2406.15479, section 4), 1 for a composition that does as well. A parent that is never right is left out.
 */
export function normalizedOf(parents: readonly ParentQuality[]): number {
  const able = parents.filter(({ rightAlone }) => rightAlone > 0);
  return able.reduce((sum, { rightRouted, rightAlone }) => sum + rightRouted / rightAlone, 0) / able.length;
}
